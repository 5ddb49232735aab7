"""A board that people have lived on: generated posts, drafts, comments, likes and pictures.

    python -m tests.support.populace URL DOCUMENTS FILES

fills the gateway at URL, which serves the board without limits per minute. To promote 100,000
documents to the tests' server of engine `mongo`, give that room: `_JAVA_OPTIONS=-Xmx4g`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from random import Random
from typing import Any, Final

import httpx

_USERS: Final = 10
_AT_ONCE: Final = 1000
#: Pictures that a post may have.
_PICTURES: Final = 10
#: Of a hundred documents.
_POSTS, _DRAFTS, _LIKES = 5, 60, 1
_WORDS: Final = ("sea", "山", "paint", "naïve", "tea", "Ω", "rail", "snow", "'quoted'", "\u2028")
#: What engines keep in ways of their own.
_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 2**53 - 1, -(2**53) + 1, 0.1, 1e300, -0.5, 1.0, "", "\\n", [], {},
    [[], [1, [2]]], {"$date": "1969-12-31T23:59:59.999Z"}, {"$date": "2038-01-19T03:14:08.000Z"},
    {"type": "Point", "coordinates": [121.47, 31.23]}, {"a": {"b": [{"c": None}]}},
)  # fmt: skip


class Populace:
    def __init__(self, url: str, seed: int = 1) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._random = Random(seed)
        sessions = [self._call("/v1/auth/sign-in/anonymous", {}, None) for _ in range(_USERS)]
        self._tokens = [session["accessToken"] for session in sessions]
        self._first = sessions[0]["user"]["uid"]

    def close(self) -> None:
        self._client.close()

    def _call(self, path: str, body: Any, token: str | None) -> Any:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        answer = self._client.post(path, json=body, headers=headers)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    def fill(self, documents: int, files: int) -> None:
        """About as many documents as said, and as many pictures."""
        posts = max(documents * _POSTS // 100, -(-files // _PICTURES))
        drafts = documents * _DRAFTS // 100
        likes = documents * _LIKES // 100
        written = self._insert("posts", posts, self._post)
        for number in range(files):
            owner, post = written[number // _PICTURES]
            self._upload(f"posts/{post}/{number % _PICTURES}", owner)
        self._insert("drafts", drafts, self._draft)
        liked = [post for _, post in written][:likes]
        self._insert("likes", len(liked), lambda n: self._like(liked[n]), alone=True)
        self._insert(
            "comments",
            documents - posts - drafts - len(liked),
            lambda _: {"post": self._random.choice(written)[1], "text": self._text(12)},
        )

    def _insert(
        self, name: str, count: int, make: Callable[[int], Any], *, alone: bool = False
    ) -> list[tuple[str, str]]:
        """Tokens of owners, and ids. `alone`: all are the first user's."""
        found = []
        for start in range(0, count, _AT_ONCE):
            token = self._tokens[0] if alone else self._random.choice(self._tokens)
            some = [make(number) for number in range(start, min(count, start + _AT_ONCE))]
            answer = self._call(f"/v1/database/{name}/insert", {"documents": some}, token)
            found += [(token, id) for id in answer["ids"]]
        return found

    def _upload(self, path: str, token: str) -> None:
        data = self._random.randbytes(self._random.randint(1, 6000))
        answer = self._client.post(
            "/v1/storage/upload",
            data={"path": path},
            files={"file": ("picture.png", data, "image/png")},
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200, answer.text

    def _post(self, number: int) -> Any:
        tags = self._random.sample(("a", "b", "c"), self._random.randint(0, 3))
        return {"title": f"post {number}", "text": self._text(60), "tags": tags}

    def _like(self, post: str) -> Any:
        return {"_id": f"{post}-{self._first}", "post": post}

    def _draft(self, number: int) -> Any:
        value = self._random.choice(_VALUES)
        return {"title": f"draft {number}", "text": self._text(20), "value": value, "n": number}

    def _text(self, words: int) -> str:
        return " ".join(self._random.choices(_WORDS, k=self._random.randint(1, words)))


def main() -> None:
    url, documents, files = sys.argv[1:]
    populace = Populace(url)
    populace.fill(int(documents), int(files))
    populace.close()


if __name__ == "__main__":
    main()
