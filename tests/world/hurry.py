"""The Exchange task with less patience than production needs: a test's server answers at once or never."""

from certwright.exchange.verify import Patience
from certwright.remoting.psrp import Limits
from certwright.tasks.exchange import Exchange


def hurry() -> None:
    """Shorten the waits of every Exchange task of this process."""
    Exchange.limits = Limits(connect=5, reply=8, poll=1, call=6)
    Exchange.patience = Patience(total=3, first=0.1, longest=0.5)
    Exchange.pauses = (0.05, 0.1)
