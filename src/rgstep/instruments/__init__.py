"""The rows of the battery, one `Instrument` each, in the order of report and page: the only list of them."""

from rgstep.instruments import (
    decoy,
    drift,
    entropy,
    hamiltonian,
    information,
    kadanoff,
    mcrg,
    sampling,
    spatial_correlator,
    tangent,
    training,
    two_point,
    vh_pattern,
)

INSTRUMENTS = {
    module.INSTRUMENT.name: module.INSTRUMENT
    for module in (
        sampling,
        training,
        vh_pattern,
        spatial_correlator,
        two_point,
        hamiltonian,
        mcrg,
        drift,
        information,
        entropy,
        kadanoff,
        decoy,
        tangent,
    )
}
LOCALITY = [name for name, instrument in INSTRUMENTS.items() if instrument.decides == "locality"]
FIXED_POINT = [name for name, instrument in INSTRUMENTS.items() if instrument.decides == "fixed point"]
DECIDING = (*LOCALITY, *FIXED_POINT)
