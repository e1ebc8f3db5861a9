# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that crosses the border between the daemon and its clients.

Requests forbid unknown fields, so that a typing error gets an answer instead of silence. Answers
ignore them, so that an older client can read a newer daemon. All durations have their unit in the
name; delays are microseconds (`_us`), windows and leases seconds (`_s`), points in time Unix
seconds (`at`, `since`, `until`).

One file for each resource. Importers take all of them from here.
"""

# ruff: noqa: F403 - a model stands in its own file, and is not named a second time here

from daemon.api.models.base import *
from daemon.api.models.candidates import *
from daemon.api.models.episodes import *
from daemon.api.models.events import *
from daemon.api.models.goals import *
from daemon.api.models.learning import *
from daemon.api.models.library import *
from daemon.api.models.measurements import *
from daemon.api.models.objectives import *
from daemon.api.models.probes import *
from daemon.api.models.problems import *
from daemon.api.models.profile import *
from daemon.api.models.recordings import *
from daemon.api.models.scheduler import *
from daemon.api.models.signals import *
from daemon.api.models.status import *
from daemon.api.models.trials import *
from daemon.api.models.workloads import *
