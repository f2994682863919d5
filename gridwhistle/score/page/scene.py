"""What every drawing of the page is made from."""

from dataclasses import dataclass

from config.city import City
from gridwhistle.score.page.readings import Read
from gridwhistle.score.report import Report
from gridwhistle.score.words import Words
from sensors_sim.world import World


@dataclass(frozen=True, slots=True)
class Scene:
    """A judged run, to be shown in one language.

    read: the run's readings, or None and why there are none (why_not). world: its plan is drawn, where there is one.
    """

    report: Report
    city: City
    say: Words
    read: Read | None = None
    why_not: str = ""
    world: World | None = None
