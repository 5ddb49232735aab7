"""Any order of refreshes, by owner and thief, does what a model of four lines says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from baas.errors import Code
from tests.support.auth import Bench, play_scenario, refused


class Model:
    """Tokens by number. `newest` is the last one given out; None once the session has ended."""

    def __init__(self) -> None:
        self.newest: int | None = 0

    def use(self, number: int) -> int | None:
        """The number of the token that is answered; None: the session is over."""
        if self.newest is None or number < self.newest - 1:
            self.newest = None
            return None
        self.newest = max(self.newest, number + 1)
        return self.newest


#: How far behind the newest the token shown is, and how many seconds passed before.
steps = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 1, 2, 5]), st.sampled_from([0, 30, 3600, 25 * 86_400])),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_refresh_is_its_model(moves: list[tuple[int, int]]) -> None:
    async def test(auth: Bench) -> None:
        model, tokens = Model(), [(await auth.sign_up()).refresh_token]
        for behind, seconds in moves:
            auth.clock.advance(seconds)
            number = max(0, len(tokens) - 1 - behind)
            wanted = model.use(number)
            if wanted is None:
                with refused(Code.SESSION_REVOKED):
                    await auth.refresh(tokens[number])
                continue
            given_out = (await auth.refresh(tokens[number])).refresh_token
            if wanted == len(tokens):
                assert given_out not in tokens
                tokens.append(given_out)
            assert given_out == tokens[wanted]

    play_scenario(test)
