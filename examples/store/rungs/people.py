"""Rung 3: people register, sign in and out, and nobody guesses how."""

import json

from rungs.store import Person, Store, somebody
from rungs.tokens import claims_of


def register_and_sign_in(store: Store) -> None:
    for person in (store.ana, store.rui):
        register(store, person)
        sign_in(store, person)
    ana = store.ana
    twin = {"name": "Ana", "email": ana.email.upper(), "password": ana.password}
    again = store.post("/auth/register", twin)
    store.check("an address is registered once, however it is written", again.is_problem(409), again)
    poor = store.post("/auth/register", {"name": "", "email": "nowhere", "password": "x"})
    store.check("a registration that makes no sense is refused", poor.is_problem(422), poor)


def register(store: Store, person: Person) -> None:
    body = {"name": person.name, "email": person.email, "password": person.password}
    answer = store.post("/auth/register", body)
    store.check(f"{person.name} registers", answer.status == 201, answer)
    store.check("and no answer shows a password", person.password not in json.dumps(answer.body), answer)


def sign_in(store: Store, person: Person) -> None:
    answer = store.post("/auth/login", {"email": person.email, "password": person.password})
    shape = {"access_token", "token_type", "expires_in", "refresh_token"}
    store.check(f"{person.name} signs in", answer.status == 200 and shape <= answer.body.keys(), answer)
    person.token, person.refresh_token = answer.body["access_token"], answer.body["refresh_token"]
    person.id = claims_of(person.token)["sub"]
    [cookie] = answer.cookies
    person.cookie, *attributes = cookie.split("; ")
    attributes = [attribute.lower() for attribute in attributes]
    store.check(
        "and is given a cookie that no script reads and no other site sends",
        {"httponly", "samesite=lax", "path=/"} <= set(attributes),
        cookie,
    )


def are_who_they_are(store: Store) -> None:
    ana = store.ana
    answer = store.get("/auth/whoami", ana.token)
    known = (answer.body.get("id"), answer.body.get("email"), answer.body.get("name"))
    store.check("whoami is the caller's own account", known == (ana.id, ana.email, ana.name), answer)
    nobody = store.get("/auth/whoami")
    store.check("whoami without a token is nobody", nobody.is_problem(401), nobody)
    by_cookie = store.get("/orders", headers={"Cookie": ana.cookie})
    store.check("the cookie opens what the token opens", by_cookie.status == 200, by_cookie)
    elsewhere = {"Cookie": ana.cookie, "Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    by_evil = store.get("/orders", headers=elsewhere)
    store.check("but not for a page of another site", by_evil.is_problem(401), by_evil)
    credentialed = by_evil.headers.get("access-control-allow-credentials")
    store.check("to which no answer is shown either", credentialed is None, dict(by_evil.headers))


def sign_out(store: Store) -> None:
    ana = store.ana
    left = store.post("/auth/logout", {"refresh_token": ana.refresh_token}, ana.token)
    store.check("Ana signs out", left.status == 204, left)
    cleared = any("max-age=0" in cookie.lower() or "1970" in cookie for cookie in left.cookies)
    store.check("which clears her cookie", cleared, left.cookies)
    renewed = store.post("/auth/refresh", {"refresh_token": ana.refresh_token})
    store.check("and ends her session", renewed.is_problem(400, 401), renewed)


def guess_in_vain(store: Store) -> None:
    guess = {"password": "not the password"}
    unknown = [store.post("/auth/login", {"email": somebody("Eva").email, **guess}) for _ in range(2)]
    wrong = [store.post("/auth/login", {"email": store.rui.email, **guess}) for _ in range(2)]
    store.check("a wrong password is refused", all(answer.is_problem(401) for answer in wrong), *wrong)
    same = all(answer.same_as(wrong[0]) for answer in unknown)
    store.check("an unknown address gets the same answer", same, *unknown)
    quickest = [min(answer.seconds for answer in answers) for answers in (unknown, wrong)]
    store.check("after the same time", max(quickest) < 3 * min(quickest), *quickest)
    answers = [store.post("/auth/login", {"email": store.rui.email, **guess}) for _ in range(8)]
    throttled = answers[-1].is_problem(429) and "retry-after" in answers[-1].headers
    store.check("whoever goes on guessing has to wait", throttled, answers[-1])
