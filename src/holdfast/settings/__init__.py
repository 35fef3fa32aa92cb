"""Settings of the platform, from the environment, `.env`, secret files and `holdfast.toml`."""

from holdfast.settings.in_force import SettingInForce, settings_in_force
from holdfast.settings.origins import Origin
from holdfast.settings.resolution import ResolvedSettings, read_settings, resolve_settings
from holdfast.settings.settings import Settings

__all__ = [
    "Origin",
    "ResolvedSettings",
    "SettingInForce",
    "Settings",
    "read_settings",
    "resolve_settings",
    "settings_in_force",
]
