"""The settings of one installation: which there are, where each comes from, and what they come to."""

from certwright.settings.known import KNOWN, Known, LogFormat
from certwright.settings.shown import Shown, shown, without_passwords
from certwright.settings.value import NOWHERE, Settings, for_strangers

__all__ = ["KNOWN", "NOWHERE", "Known", "LogFormat", "Settings", "Shown", "for_strangers", "shown", "without_passwords"]
