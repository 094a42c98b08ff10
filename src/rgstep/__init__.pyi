from .battery import judge as judge
from .blocking import Average as Average
from .blocking import BernoulliBlock as BernoulliBlock
from .blocking import Decimation as Decimation
from .blocking import Majority as Majority
from .correlators import two_point as two_point
from .correlators import visible_hidden as visible_hidden
from .ensemble import Ensemble as Ensemble
from .ensemble import ensemble_from_array as ensemble_from_array
from .errors import InputError as InputError
from .estimates import Estimate as Estimate
from .ising import CRITICAL_TEMPERATURE as CRITICAL_TEMPERATURE
from .nets.rbm import RBM as RBM
from .nets.rbm import untrained_rbm as untrained_rbm
from .nets.training import train_rbm as train_rbm
from .patterns import pattern_correlator as pattern_correlator
from .patterns import pattern_statistics as pattern_statistics
from .progress import progress_bars as progress_bars
from .report import Report as Report
from .report import load_report as load_report
from .samplers.plan import sample as sample
from .store import load_ensemble as load_ensemble
from .store import load_rbm as load_rbm
from .store import save_ensemble as save_ensemble
from .store import save_rbm as save_rbm
from .types import CoarseGraining as CoarseGraining

__version__: str
