"""Where public keys come from."""

from typing import Protocol

from connector.domain.keyrecord import KeyAnswer


class Keys(Protocol):
    """Finds the public key that a call names."""

    def find(self, key_id: str) -> KeyAnswer:
        """Return the key of that name, or why there is none.

        `key_id` has been judged already: it is a proper name below the sender's zone. May wait for a bounded time;
        threads that ask for the same name share one look-up. Never raises for what the network does.
        """
        ...
