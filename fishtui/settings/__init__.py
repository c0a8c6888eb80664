"""Typed settings of a project, the source of each value, and the settings file."""

from fishtui.settings.loading import (
    DEFAULT as DEFAULT,
)
from fishtui.settings.loading import (
    ENVIRONMENT_PREFIX as ENVIRONMENT_PREFIX,
)
from fishtui.settings.loading import (
    REPAIR as REPAIR,
)
from fishtui.settings.loading import (
    Loaded as Loaded,
)
from fishtui.settings.loading import (
    Setting as Setting,
)
from fishtui.settings.loading import (
    SettingError as SettingError,
)
from fishtui.settings.loading import (
    SettingRow as SettingRow,
)
from fishtui.settings.loading import (
    known as known,
)
from fishtui.settings.loading import (
    load as load,
)
from fishtui.settings.loading import (
    missing_path as missing_path,
)
from fishtui.settings.loading import (
    rows as rows,
)
from fishtui.settings.loading import (
    schema as schema,
)
from fishtui.settings.sections import (
    CheckSettings as CheckSettings,
)
from fishtui.settings.sections import (
    ExtractSettings as ExtractSettings,
)
from fishtui.settings.sections import (
    NormalizeSettings as NormalizeSettings,
)
from fishtui.settings.sections import (
    PackSettings as PackSettings,
)
from fishtui.settings.sections import (
    PathSettings as PathSettings,
)
from fishtui.settings.sections import (
    RunSettings as RunSettings,
)
from fishtui.settings.sections import (
    ScanSettings as ScanSettings,
)
from fishtui.settings.sections import (
    Settings as Settings,
)
from fishtui.settings.sections import (
    SynthesizeSettings as SynthesizeSettings,
)
from fishtui.settings.sections import (
    TrainSettings as TrainSettings,
)
