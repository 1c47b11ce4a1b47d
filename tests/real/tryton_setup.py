"""Runs with Tryton's own interpreter: makes a company with its currency, and a key for the REST API."""

import json
import secrets
import sys

import trytond.config
from trytond.pool import Pool
from trytond.transaction import Transaction


def set_up(pool: Pool) -> dict[str, object]:
    admin = pool.get("res.user")(1)
    (euro,) = pool.get("currency.currency").create([{"name": "Euro", "code": "EUR", "symbol": "EUR"}])
    (party,) = pool.get("party.party").create([{"name": "The company itself"}])
    (company,) = pool.get("company.company").create([{"party": party.id, "currency": euro.id}])
    admin.companies = [company]
    admin.company = company
    admin.save()
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
    with Transaction().start("crm", 1):
        print(json.dumps(set_up(pool)))


main()
