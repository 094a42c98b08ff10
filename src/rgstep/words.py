"""The answer in words: one sentence for a report, then for each map its verdict, the numbers that carry it, and what
would change it.

The page, `print(report)` and notebooks say the same sentences, from here. Everything is read from the rows of a report,
so that an old report says what its verdict rested on when it was made: the bands are those that its rows state.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rgstep.controls import expected
from rgstep.estimates import Estimate
from rgstep.glossary import said_of
from rgstep.instruments import DECIDING, FIXED_POINT, LOCALITY
from rgstep.results import FATES, FEATURES, LOCAL, NOT_JUDGED, RG_STEP, UNDECIDED, MapReport
from rgstep.roles import RG, Maps, control, controls, is_trained, judged, null_of

SHOWN = 3  # numbers that carry a verdict
MOST_TOLD = 6  # of them if more than these told
SURE = 20  # standard errors beyond which their number says no more
LISTED = 4  # maps whose values are listed one by one in the sentence on all
OUTCOME = re.compile(  # as `results.Outcome.sentence` writes it
    r"(?P<quantity>[^\s;=]+) = [^;\[]*?, (?P<how>[a-z ]+?) (?P<band>[\[(][^\])]*[\])])(?P<rest>[^;]*)"
)
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
OF_FATE = dict(
    zip(
        FATES,
        (
            "Repeated, it leads to the Ising fixed point.",
            "Repeated, it washes the field out: what is left is noise.",
            "Repeated, it leads elsewhere than to the Ising fixed point.",
        ),
        strict=True,
    )
)
NO_FATE = {
    FEATURES: "Where repeating it leads is not asked: that needs a local map.",
    NOT_JUDGED: "Where repeating it leads is not asked away from the critical point.",
}
OTHER_TRAINING = (  # what made networks local on L = 16, docs/studies.md
    "Another training may: fewer units, configurations from above the critical point, more updates, a small L1 penalty."
)
AS = {
    RG_STEP: "an RG step",
    LOCAL: "a local coarse graining that is not near the fixed point",
    FEATURES: "a feature extractor, not an RG step",
}


@dataclass(frozen=True)
class Carrier:
    """A number that carries a verdict: its value and band, beside the majority rule and the untrained network.

    Attributes:
        quantity: its name in report.json.
        row: where it stands there.
        estimate: value and error.
        low: end of the band, −∞ if there is none.
        high: the other.
        passed: whether it lies in the band; None where that is undecided.
        majority: the same number of the majority rule on the same configurations, None without one.
        untrained: of the untrained network, of the same size and norm where the report has one.
    """

    quantity: str
    row: str
    estimate: Estimate
    low: float
    high: float
    passed: bool | None
    majority: Estimate | None = None
    untrained: Estimate | None = None

    @property
    def name(self) -> str:
        """The number in words."""
        return said_of(self.quantity).name

    @property
    def meaning(self) -> str:
        """What it is, in one sentence."""
        return said_of(self.quantity).meaning

    @property
    def value(self) -> str:
        """Value and error as they are printed."""
        return shown(self.quantity, self.estimate)

    @property
    def beside(self) -> dict[str, str]:
        """The same number of the controls, as printed; "–" where a control has none."""
        return {
            "majority": shown(self.quantity, self.majority) if self.majority else "–",
            "untrained": shown(self.quantity, self.untrained) if self.untrained else "–",
        }

    @property
    def band(self) -> str:
        """The band in words: "at most 10 %", "0.7 to 1.5"."""
        low, high = (edge(self.quantity, end) for end in (self.low, self.high))
        if math.isinf(self.low):
            return f"at most {high}"
        return f"at least {low}" if math.isinf(self.high) else f"{low} to {high}"

    @property
    def sigmas(self) -> float:
        """How many standard errors the number is outside its band, negative inside; infinite without an error."""
        room, error = min(float(self.estimate.value) - self.low, self.high - float(self.estimate.value)), self.error
        return -room / error if error > 0 else math.copysign(math.inf, -room)

    @property
    def error(self) -> float:
        """The standard error, 0 where the number is exact."""
        return float(self.estimate.error)

    @property
    def where(self) -> str:
        """Where it lies: "17 σ outside", "21 σ inside", "outside, exactly"."""
        side = "outside" if self.sigmas > 0 else "inside"
        if not math.isfinite(self.error):
            return f"{side}, its error is not known"
        if math.isinf(self.sigmas):
            return f"{side}, exactly"
        return f"{many_sigmas(abs(self.sigmas), over='>')} {side}"

    @property
    def move(self) -> str:
        """From where to where it would have to go to cross the nearest edge of its band, in a clause."""
        value = float(self.estimate.value)
        to = self.high if self.high - value < value - self.low else self.low
        inside, outside = ("at most", "above") if to == self.high else ("at least", "below")
        limit = inside if self.sigmas > 0 else outside
        return f"{self.name} from {rough(self.quantity, value)} to {limit} {edge(self.quantity, to)}"


@dataclass(frozen=True)
class Answer:
    """What the first screen says of one map.

    Attributes:
        name: of the map.
        verdict: as in report.json.
        fate: as in report.json.
        sentence: the verdict and why, in one sentence.
        leads: what repeating the map leads to, in one sentence.
        numbers: those that carry the verdict, the telling ones first: three, or all that told up to six.
        change: what would change the verdict.
    """

    name: str
    verdict: str
    fate: str | None
    sentence: str
    leads: str
    numbers: tuple[Carrier, ...]
    change: str


@dataclass(frozen=True)
class Controls:
    """Whether the controls came out as they must.

    Attributes:
        sentence: "7 of 7 controls as expected."
        verdicts: by name, the verdict that is known and the one that was found; None where none is known.
        unexpected: names of those that came out otherwise, the undecided ones among them.
    """

    sentence: str
    verdicts: Mapping[str, tuple[str | None, str]]
    unexpected: tuple[str, ...]


# --- of the whole report


def headline(maps: Maps) -> str:
    """Return one sentence on all maps that are judged: which are RG steps, and why the others are not.

    Args:
        maps: of the report, controls among them.
    """
    found = judged(maps)
    if not found:
        return "No map is under judgement here: every map of this report is a control, whose answer is known."
    if all(entry.verdict == NOT_JUDGED for entry in found.values()):
        reason = next(iter(found.values())).reason
        return f"No map is judged: {reason}." if reason else "No map is judged."
    return f"{opener(found)}: {reasons(found, maps)}."


def opener(found: Maps) -> str:
    """Return which of the maps under judgement are RG steps, in a main clause."""
    names = list(found)
    noun = "trained network" if all(is_trained(entry) for entry in found.values()) else "map"
    steps = [name for name in names if found[name].verdict == RG_STEP]
    unknown = [name for name in names if found[name].verdict in (UNDECIDED, NOT_JUDGED)]
    if len(names) == 1:
        if unknown:
            return f"Whether the {noun} {names[0]} is an RG step is undecided"
        return f"The {noun} {names[0]} is {'an' if steps else 'not an'} RG step"
    if not steps and not unknown:
        first = "Neither" if len(names) == 2 else f"None of the {counted(len(names))}"
        return f"{first} {noun}{'' if len(names) == 2 else 's'} is an RG step"
    if len(steps) == len(names):
        return f"{'Both' if len(names) == 2 else f'All {counted(len(names))}'} {noun}s are RG steps"
    if len(unknown) == len(names):
        return f"Whether the {counted(len(names))} {noun}s are RG steps is undecided"
    others = [name for name in names if name not in (*steps, *unknown)]
    parts = (
        f"{counted(len(steps))} {agrees(steps)} RG step{plural(steps)}{listed(steps)}",
        f"{counted(len(others))} {'is' if len(others) == 1 else 'are'} not{listed(others)}" if others else "",
        f"{counted(len(unknown))} {'is' if len(unknown) == 1 else 'are'} undecided{listed(unknown)}" if unknown else "",
    )
    return f"Of {counted(len(names))} {noun}s " + ", ".join(part for part in parts if part)


def reasons(found: Maps, maps: Maps) -> str:
    """Return why, verdict by verdict: the number that all maps of one verdict have in common, else map by map."""
    clauses = []
    for verdict in (FEATURES, LOCAL, UNDECIDED, RG_STEP):
        same = {name: entry for name, entry in found.items() if entry.verdict == verdict}
        if same:
            clauses.append(reason_of(same, verdict, maps))
    return "; ".join(clauses)


def reason_of(same: Maps, verdict: str, maps: Maps) -> str:
    """Return why some maps have one verdict, in a clause."""
    told = {name: telling(name, maps) for name in same}
    if verdict == RG_STEP:
        nearest = min((number for numbers in told.values() for number in numbers), key=nearness, default=None)
        tightest = f", the nearest to an edge {nearest.name} = {nearest.value} ({nearest.band})" if nearest else ""
        return f"{its(same, 'every number that is asked for lies in its band')}{tightest}"
    counts = Counter(number.quantity for numbers in told.values() for number in numbers)
    common = next((quantity for quantity, count in counts.items() if count == len(same)), None)
    if common is None:
        return "; ".join(f"of {name} {clause(numbers)}" for name, numbers in told.items())
    each = {name: next(n for n in numbers if n.quantity == common) for name, numbers in told.items()}
    one = next(iter(each.values()))
    wrong = said_of(common).wrong.format(its="its" if len(same) == 1 else "their")
    doubt = "it is too near to tell whether " if verdict == UNDECIDED else ""
    return f"{doubt}{wrong} ({values_of(each)}; an RG step has {one.band}{beside_of(one)})"


def values_of(each: Mapping[str, Carrier]) -> str:
    """Return the values of one number of some maps: each with its map, of many the smallest and largest."""
    if len(each) == 1:
        return next(iter(each.values())).value
    if len(each) <= LISTED:
        return ", ".join(f"{name} {number.value}" for name, number in each.items())
    ordered = sorted(each.values(), key=lambda number: float(number.estimate.value))
    return f"{ordered[0].value} to {ordered[-1].value}"


def beside_of(number: Carrier) -> str:
    """Return what the controls have of a number, in a clause that follows its band."""
    said = {name: value for name, value in number.beside.items() if value != "–"}
    names = {"majority": "the majority rule", "untrained": "an untrained network"}
    return "".join(f", {names[name]} {value}" for name, value in said.items())


def clause(numbers: Sequence[Carrier]) -> str:
    """Return what the numbers of one map say, the first of them, in a clause."""
    if not numbers:
        return "the rows say why"
    first = numbers[0]
    return f"{said_of(first.quantity).wrong.format(its='its')} ({first.value}; an RG step has {first.band})"


# --- of one map


def answer(name: str, maps: Maps) -> Answer:
    """Return what is to be said of one map of a report: verdict, why, the numbers that carry it, what would change it.

    Args:
        name: of the map.
        maps: of the report, with the controls that its numbers stand beside.
    """
    entry = maps[name]
    numbers = chosen(name, maps)
    leads = OF_FATE.get(entry.fate or "", NO_FATE.get(entry.verdict, "Where repeating it leads is open."))
    if entry.fate is None and entry.verdict not in NO_FATE and entry.fate_reason:
        leads = f"Where repeating it leads is open: {entry.fate_reason}."
    return Answer(name, entry.verdict, entry.fate, sentence(name, maps), leads, numbers, change(name, maps))


def sentence(name: str, maps: Maps) -> str:
    """Return the verdict on one map and why, in one sentence."""
    entry, told = maps[name], telling(name, maps)
    if entry.verdict == NOT_JUDGED:
        return f"{name} is not judged: {entry.reason}." if entry.reason else f"{name} is not judged."
    because = "; ".join(clause([number]) for number in first_of_rows(told)) or entry.reason
    if entry.verdict == UNDECIDED:
        near = ", ".join(f"{n.name} {n.value} (an RG step has {n.band})" for n in first_of_rows(told))
        why = f"nothing fails, but too near the edge of its band is {near}" if near else entry.reason
        return f"Whether {name} is an RG step is undecided: {why}."
    if entry.verdict == RG_STEP:
        steps = "; one step is all that could be measured" if entry.reason.startswith("by one step") else ""
        return f"{name} is an RG step: every number that is asked for lies in its band{steps}."
    return f"{name} is {AS[entry.verdict]}: {because}."


def change(name: str, maps: Maps) -> str:
    """Return what would change the verdict on one map, in a sentence or two."""
    entry, told = maps[name], telling(name, maps)
    if entry.verdict == NOT_JUDGED:
        return "Configurations at the critical temperature that pass their checks would be judged."
    if entry.verdict == UNDECIDED:
        return forecast(entry)
    if not told:
        return "The rows below say which numbers decided."
    if entry.verdict == RG_STEP:
        nearest = min(told, key=nearness)
        return (
            f"The verdict would change if one number left its band, the nearest {nearest.move} ({nearest.where} now)."
        )
    least = min(number.sigmas for number in told)
    far = f"{many_sigmas(least)}{' or more' if len(told) > 1 and least <= SURE else ''} outside"
    each = "it is" if len(told) == 1 else "each is"
    noise = "there is no noise in what decides" if math.isinf(least) else f"{each} {far} its band"
    several = "both of these numbers" if len(told) == 2 else f"all {counted(len(told))} of these numbers"
    moved = f"{'this number' if len(told) == 1 else several} moved"
    moves = "; ".join(number.move for number in told)
    more = f"More samples are not expected to change it: {noise}."
    another = OTHER_TRAINING if entry.verdict == FEATURES and is_trained(entry) else ""
    return " ".join(filter(None, (f"The verdict would change if {moved}: {moves}.", still(entry), more, another)))


def still(entry: MapReport) -> str:
    """Return which rows of the fixed point fail beside those of locality that decided, in a sentence, else nothing."""
    if entry.verdict != FEATURES:
        return ""
    failed = [row for row in FIXED_POINT if row in entry.diagnostics and entry.diagnostics[row].passed is False]
    if not failed:
        return "It would then be local, and the rows of the fixed point would decide."
    rows = ", ".join(row.replace("_", " ") for row in failed)
    fail = "fails" if len(failed) == 1 else "fail"
    return f"To be an RG step it must pass the row{plural(failed)} {rows} too, which {fail}."


def forecast(entry: MapReport) -> str:
    """Return how many samples would decide an undecided map, in a sentence; reports of older versions do not say."""
    if entry.forecast is None:
        return "This report does not say how many samples would decide: its rows below say which numbers are open."
    sentence = entry.forecast.sentence
    return f"{sentence[0].upper()}{sentence[1:]}."


# --- the numbers of a map


def telling(name: str, maps: Maps) -> list[Carrier]:
    """Return the numbers that decided the verdict on a map, in the order of the battery.

    Those that failed in the rows that decided; the undecided ones of an undecided map; all of an RG step.
    """
    entry = maps[name]
    rows = {FEATURES: LOCALITY, LOCAL: FIXED_POINT}.get(entry.verdict, (*LOCALITY, *FIXED_POINT))
    wanted = {FEATURES: False, LOCAL: False, UNDECIDED: None, RG_STEP: True}.get(entry.verdict, True)
    return [number for number in carriers(name, maps) if number.row in rows and number.passed is wanted]


def chosen(name: str, maps: Maps) -> tuple[Carrier, ...]:
    """Return the numbers to be shown: those that told, a row each at first, then those nearest to an edge."""
    told = telling(name, maps)
    if maps[name].verdict == RG_STEP:
        return tuple(sorted(told, key=nearness)[:SHOWN])
    first = first_of_rows(told)
    rest = [number for number in told if number not in first]
    others = sorted((n for n in carriers(name, maps) if n not in told), key=nearness)
    fresh = [n for n in others if n.row not in {number.row for number in told}]
    return tuple([*first, *rest, *fresh][: max(SHOWN, min(len(told), MOST_TOLD))])


def first_of_rows(numbers: Sequence[Carrier]) -> list[Carrier]:
    """Return the first number of each row."""
    found: dict[str, Carrier] = {}
    for number in numbers:
        found.setdefault(number.row, number)
    return list(found.values())


def nearness(number: Carrier) -> float:
    """Return by how many standard errors a number is away from the nearest edge of its band, the sure ones last."""
    return abs(number.sigmas)


def carriers(name: str, maps: Maps) -> Iterator[Carrier]:
    """Yield every number that the rows of a map hold against a band, beside the controls, in the battery's order."""
    entry, rule, null = maps[name], control(maps, RG), null_of(maps, name)
    for row in DECIDING:
        if row not in entry.diagnostics:
            continue
        diagnostic = entry.diagnostics[row]
        for match in OUTCOME.finditer(diagnostic.why):
            quantity = match["quantity"]
            if quantity not in diagnostic.estimates:
                continue
            low, high = ends(match["band"])
            passed = {"inside": True, "outside": None if match["rest"].startswith(":") else False}.get(match["how"])
            others = (same_of(maps[one], row, quantity) if one else None for one in (rule, null))
            yield Carrier(quantity, row, diagnostic.estimates[quantity].estimate, low, high, passed, *others)


def ends(band: str) -> tuple[float, float]:
    """Return low and high of a band as it is written: [0.7, 1.5], (−∞, 0.1], [0.5, ∞)."""
    low, high = band[1:-1].replace("−", "-").replace("∞", "inf").split(", ")
    return float(low), float(high)


def same_of(entry: MapReport, row: str, quantity: str) -> Estimate | None:
    """Return a number of another map, of its sign or without where the other's h is real; None if it has none."""
    found = entry.estimates(row)
    signed = quantity.replace("[", "_sign[") if "_sign[" not in quantity else quantity.replace("_sign[", "[")
    for name in (quantity, signed):
        if name in found:
            return found[name].estimate
    return None


# --- the controls


def on_controls(maps: Maps) -> Controls:
    """Return whether the controls of a report came out as they must: expected verdict, found verdict, and a sentence.

    A control without a known verdict, as a network trained on other data, counts in neither.
    """
    verdicts = {name: (expected(entry.about), entry.verdict) for name, entry in controls(maps).items()}
    known = {name: both for name, both in verdicts.items() if both[0] is not None and both[1] != NOT_JUDGED}
    unexpected = tuple(name for name, (must, found) in known.items() if must != found)
    if not known:
        none = "No control is judged." if verdicts else "This report has no controls: its numbers stand alone."
        return Controls(none, verdicts, ())
    right = len(known) - len(unexpected)
    sentence = f"{right} of {len(known)} controls as expected"
    if unexpected:
        said = "; ".join(f"{name} should be “{known[name][0]}” and is “{known[name][1]}”" for name in unexpected)
        sentence = f"{sentence}: {said}"
    return Controls(f"{sentence}.", verdicts, unexpected)


# --- small words


def many_sigmas(count: float, over: str = "more than") -> str:
    """Return a number of standard errors as it is printed; far out, where no tail is Gaussian, that it is large."""
    return f"{over} {SURE} σ" if count > SURE else f"{count:.0f} σ"


def shown(quantity: str, estimate: Estimate) -> str:
    """Return a number as it is printed: shares in per cent, all with a true minus sign."""
    if not said_of(quantity).share:
        return str(estimate).replace("-", "−")
    if float(estimate.value) in (0.0, 1.0):
        return f"{100 * float(estimate.value):.0f} %"  # none or all: the error of counting is no interval
    percent = Estimate(100 * float(estimate.value), 100 * float(estimate.error))
    return f"{percent} %".replace("-", "−")


def rough(quantity: str, value: float) -> str:
    """Return a value in three digits, without its error."""
    return f"{100 * value:.3g} %" if said_of(quantity).share else f"{value:.3g}".replace("-", "−")


def edge(quantity: str, end: float) -> str:
    """Return an end of a band as it is printed."""
    return f"{100 * end:.4g} %" if said_of(quantity).share else f"{end:.4g}".replace("-", "−")


def counted(count: int) -> str:
    """Return a number in words up to twelve, in digits above."""
    return COUNTS[count] if count < len(COUNTS) else str(count)


def listed(names: Sequence[str]) -> str:
    """Return names in brackets, of many nothing."""
    return f" ({', '.join(names)})" if 0 < len(names) <= LISTED else ""


def plural(names: Sequence[str]) -> str:
    """Return the s of a plural."""
    return "" if len(names) == 1 else "s"


def agrees(names: Sequence[str]) -> str:
    """Return the verb and article before a predicate."""
    return "is an" if len(names) == 1 else "are"


def its(same: Maps, text: str) -> str:
    """Return a clause on one map as it is, on several with their number."""
    return text if len(same) == 1 else f"of each {text}"
