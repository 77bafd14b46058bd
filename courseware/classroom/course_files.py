"""What JupyterLab may write while the course is taken, not made: the files in work/ and no others."""

from pathlib import Path

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

from courseware.classroom.copies import FOLDER, ROOT


class CourseFiles(AsyncLargeFileManager):
    """JupyterLab's own file manager, for which the course outside work/ is read-only."""

    course = ROOT

    def _is_the_courses(self, path: str) -> bool:
        place = Path(self._get_os_path(path)).resolve()
        return place.is_relative_to(self.course) and not place.is_relative_to(self.course / FOLDER)

    def _refuse(self, path: str) -> None:
        if self._is_the_courses(path):
            name = Path(path).name
            raise HTTPError(
                403,
                f"{path.strip('/')} belongs to the course and is read-only here: save it as {FOLDER}/{name}, "
                "or open the course for writing with `make author`",
            )

    async def get(self, path, *args, **kwargs):
        model = await super().get(path, *args, **kwargs)
        if model["type"] != "directory" and self._is_the_courses(path):
            model["writable"] = False
        return model

    async def save(self, model, path=""):
        self._refuse(path)
        return await super().save(model, path)

    async def delete_file(self, path):
        self._refuse(path)
        return await super().delete_file(path)

    async def rename_file(self, old_path, new_path):
        self._refuse(old_path)
        self._refuse(new_path)
        return await super().rename_file(old_path, new_path)
