"""When a task of a managed certificate runs."""

from enum import StrEnum


class Role(StrEnum):
    """Whether a task runs before the authority is asked, or after."""

    PRE_REQUEST = "pre-request"
    DEPLOYMENT = "deployment"


class Trigger(StrEnum):
    """What has a task run.

    `on-success`: a request that succeeded (for a pre-request task: one that is about to be made), unless a task before
    it that stops others has failed. `on-failure`: a request that failed, unless such a task has failed. `always`: a
    request, whatever became of it and of other tasks. `on-task-failure`: a task before it that failed. `manual`: a
    person's command alone.
    """

    ON_SUCCESS = "on-success"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    ON_TASK_FAILURE = "on-task-failure"
    MANUAL = "manual"
