"""`/api/login`: browsers change a token for a cookie, ask who they are, and log out."""

from starlette.requests import Request
from starlette.responses import Response

from server import schemas
from server.auth import COOKIE, NotAuthenticated, Pass
from server.gate import Credentials, Gate, unauthenticated
from server.operations import Operation, json_answer
from server.validation import body

_PATH = "/api/login"
_NOT_KEPT = {"Cache-Control": "no-store"}


class Logins:
    """The endpoints over one gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def operations(self) -> list[Operation]:
        return [
            Operation(
                method="GET",
                path=_PATH,
                handler=self.get_login,
                summary="As whom one comes.",
                answers={200: schemas.Login},
                problems=(401,),
            ),
            Operation(
                method="POST",
                path=_PATH,
                handler=self.log_in,
                summary="Log in: change a token for a cookie, which lasts a week at most.",
                body=schemas.Credential,
                answers={200: schemas.Login},
                problems=(400, 401, 413, 415, 422),
            ),
            Operation(
                method="DELETE",
                path=_PATH,
                handler=self.log_out,
                summary="Log out: the cookie lets nobody in any more.",
                answers={204: None},
                problems=(401,),
            ),
        ]

    async def get_login(self, request: Request) -> Response:
        return _json(self._passed(request))

    async def log_in(self, request: Request) -> Response:
        credential = await body(request, schemas.Credential)
        try:
            login = self._gate.auth.log_in(credential.token)
        except NotAuthenticated as error:
            raise unauthenticated(str(error)) from None
        answer = _json(login.passed)
        answer.set_cookie(
            COOKIE,
            login.cookie,
            max_age=login.max_age,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        self._gate.auth.log_out(self._passed(request))
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer

    def _passed(self, request: Request) -> Pass:
        passed = self._gate.recognise(Credentials(request.scope))
        if passed is None:
            raise unauthenticated("Nobody is logged in.")
        return passed


def _json(passed: Pass) -> Response:
    content = schemas.Login(role=passed.role, by_cookie=passed.cookie is not None)
    return json_answer(content, headers=_NOT_KEPT)
