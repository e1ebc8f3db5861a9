# SPDX-License-Identifier: GPL-2.0-or-later
"""Lessons by advisors and the operator."""

import time

from daemon.api.models import EventKind, LessonRequest, LessonView
from daemon.gates.candidates import Publish
from daemon.memory.lessons import Lessons


class LessonsHandler:
    def __init__(
        self,
        lessons: Lessons,
        publish: Publish,
    ) -> None:
        self._lessons = lessons
        self._publish = publish

    async def lessons(self) -> list[LessonView]:
        return self._lessons.views()

    async def record_lesson(self, request: LessonRequest) -> LessonView:
        view = self._lessons.record(
            request.text, "advisor", request.episode or "", request.trial or "", time.time()
        )
        self._publish(EventKind.LESSON, f"lesson: {view.text}", episode=view.episode)
        return view
