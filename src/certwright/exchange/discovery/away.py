"""Whether a server must be left alone now, because somebody works on it. Pure."""

from collections.abc import Mapping

from certwright.exchange.discovery.servers import Membership

_OFFLINE = "ServerWideOffline"
_BLOCKED = "Blocked"  # alone it says little: many leave it so for good, where copies lag behind on purpose


def away(
    components: Mapping[str, str] | None, membership: Membership | None, *, paused: bool = False, updating: str = ""
) -> str:
    """Why the server must be left alone, in words; empty if it need not.

    Args:
        components: the states of its components by name; None if they are unknown.
        membership: what it says of its databases.
        paused: whether its availability group lists it as in maintenance.
        updating: the role whose setup is under way.
    """
    reasons = []
    if updating:
        reasons.append(f"the setup of Exchange is under way there ({updating}), or was broken off")
    offline = (components or {}).get(_OFFLINE, "")
    if offline and offline != "Active":
        reasons.append(f"it is in maintenance (component {_OFFLINE} is {offline})")
    if paused:
        reasons.append(f"its availability group{_named(membership)} lists it as in maintenance")
    if membership and membership.moves_active_copies:
        reasons.append("its databases are being moved away (DatabaseCopyActivationDisabledAndMoveNow is True)")
    if reasons and membership and membership.activation_policy == _BLOCKED:
        reasons.append(f"none becomes active there (DatabaseCopyAutoActivationPolicy is {_BLOCKED})")
    return "; ".join(reasons)


def _named(membership: Membership | None) -> str:
    return f" {membership.dag}" if membership and membership.dag else ""
