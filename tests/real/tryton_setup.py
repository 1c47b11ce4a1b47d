"""Runs with Tryton's own interpreter: makes a company with its currency, and a key for the REST API."""

import json
import secrets
import sys

import trytond.config
from trytond.pool import Pool
from trytond.transaction import Transaction, TransactionError


def set_up(pool: Pool) -> dict[str, object]:
    admin = pool.get("res.user")(1)
    (euro,) = pool.get("currency.currency").create([{"name": "Euro", "code": "EUR", "symbol": "EUR"}])
    (party,) = pool.get("party.party").create([{"name": "The company itself"}])
    (company,) = pool.get("company.company").create([{"party": party.id, "currency": euro.id}])
    admin.companies = [company]
    admin.company = company
    admin.save()
    # Codes are given by those who make a party, not by a sequence: then they can be changed, too.
    configuration = pool.get("party.configuration")(1)
    configuration.party_sequence = None
    configuration.save()
    key = secrets.token_hex(32)
    application = {"user": admin.id, "application": "rest", "key": key, "state": "validated"}
    pool.get("res.user.application").create([application])
    return {"company": company.id, "currency": euro.id, "key": key}


def main() -> None:
    trytond.config.update_etc(sys.argv[1])
    Pool.start()
    pool = Pool("crm")
    with Transaction().start("crm", 0):
        pool.init()
    locks: dict[str, object] = {}
    while True:
        with Transaction().start("crm", 1, **locks) as transaction:
            try:
                made = set_up(pool)
            except TransactionError as error:  # a table has to be locked from the beginning
                transaction.rollback()
                error.fix(locks)
                continue
        print(json.dumps(made))
        return


main()
