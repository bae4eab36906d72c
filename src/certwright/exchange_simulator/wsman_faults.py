"""The faults that WS-Management answers with ([MS-WSMV]), with the numbers and in the words of a server."""

from certwright.exchange_simulator.soap import ADDRESSING, WSMAN, Fault

_ACCESS_DENIED = 5
_TIMED_OUT = 2150858793
_SHELL_LOST = 2150858843
_UNKNOWN_RESOURCE = 2150858811
_SHELL_QUOTA = 2150859173
_INVALID_SHELL = "WSMan-InvalidShellID"


def no_message_id() -> Fault:
    """The request has no MessageID."""
    return Fault(None, f"{{{ADDRESSING}}}MessageInformationHeaderRequired", "No MessageID.")


def not_supported() -> Fault:
    """The action is not known."""
    return Fault(None, f"{{{ADDRESSING}}}ActionNotSupported", "The action is not supported by the service.")


def invalid(reason: str) -> Fault:
    """The request is not as its schema wants it."""
    return Fault(None, f"{{{WSMAN}}}SchemaValidationError", f"The request is not valid: {reason}.")


def internal(code: int, message: str) -> Fault:
    """Something else failed."""
    return Fault(code, f"{{{WSMAN}}}InternalError", message)


def unknown_resource(uri: str) -> Fault:
    """There is no such configuration."""
    return Fault(
        _UNKNOWN_RESOURCE,
        f"{{{WSMAN}}}InvalidResourceURI",
        "The WS-Management service cannot process the request. The resource URI "
        f"({uri}) was not found in the WS-Management catalog.",
    )


def timed_out() -> Fault:
    """Nothing came within the time that the request gave."""
    return Fault(
        _TIMED_OUT,
        f"{{{WSMAN}}}TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
    )


def no_shell(shell_id: str) -> Fault:
    """There is no such shell, or no more."""
    return Fault(
        _SHELL_LOST,
        f"{{{WSMAN}}}InvalidSelectors",
        f"The request for the Windows Remote Shell with ShellId {shell_id} failed because the shell was not found on "
        "the server. Possible causes are: the specified ShellId is incorrect or the shell no longer exists on the "
        "server. Provide the correct ShellId or create a new shell and retry the operation.",
        category=_INVALID_SHELL,
    )


def no_command() -> Fault:
    """There is no such command in the shell, or no more."""
    return Fault(
        _SHELL_LOST,
        f"{{{WSMAN}}}InvalidSelectors",
        "The shell has no such command, or it has ended already.",
        category=_INVALID_SHELL,
    )


def no_roles(user: str) -> Fault:
    """Exchange does not let `user` manage anything."""
    return Fault(
        _ACCESS_DENIED,
        f"{{{WSMAN}}}AccessDenied",
        "Access is denied.",
        f'The user "{user}" isn\'t assigned to any management roles.',
        "AuthZ-CmdletAccessDeniedException",
    )


def over_quota(quota: int) -> Fault:
    """As many shells are open as may be."""
    return Fault(
        _SHELL_QUOTA,
        f"{{{WSMAN}}}QuotaLimit",
        "The WS-Management service cannot process the request. The maximum number of concurrent shells for this "
        "user has been exceeded. Close existing shells or raise the quota for this user.",
        "Fail to create a runspace because you have exceeded the maximum number of connections allowed : "
        f"{quota} for the policy party : MaxConcurrency. Please close existing runspace and try again.",
        "AuthZ-AuthorizationException",
    )
