"""Where public keys come from."""

from typing import Protocol

from connector.domain.keyrecord import KeyAnswer


class Keys(Protocol):
    """Finds the public key that a call names."""

    def find(self, key_id: str, *, again: bool = False) -> KeyAnswer:
        """Return the key of that name, or why there is none.

        `again` is for a call that was kept unproven and is judged again: it takes nothing from the small budget of
        calls that may wait for the second look at a name that does not exist (S32).

        `key_id` has been judged already: it is a proper name below the sender's zone. May wait for a bounded time;
        threads that ask for the same name share one look-up. Never raises for what the network does.
        """
        ...
