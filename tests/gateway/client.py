"""What Python's own HTTP client does with a gateway. The URL is the argument."""

import http.client
import json
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

url = sys.argv[1]
host = urlsplit(url).netloc

# One connection, many requests, each of its own kind.
connection = http.client.HTTPConnection(host, timeout=20)
connection.connect()
socket = connection.sock
for method in ["GET", "HEAD", "OPTIONS", "DELETE"]:
    connection.request(method, "/head")
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, (method, answer.status)
    assert method == "HEAD" or json.loads(body)["method"] == method
for body in [b"", b"abc", b"x" * 200_000]:
    connection.request("POST", "/echo", body=body)
    assert connection.getresponse().read() == body
connection.request("POST", "/echo", body=iter([b"in ", b"pieces"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
assert connection.getresponse().read() == b"in pieces"
for status in [204, 304]:
    connection.request("GET", f"/status/{status}")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (status, b"")
assert connection.sock is socket, "the connection was not kept"

# The service learns of the client from the gateway alone.
connection.request("GET", "/head", headers={"X-Forwarded-For": "6.6.6.6", "X_User_Id": "root", "Connection": "keep-alive, x-gone", "X-Gone": "1"})
head = json.loads(connection.getresponse().read())
assert head["x-forwarded-for"] == "127.0.0.1" and "x-gone" not in head and "root" not in head.values(), head
assert head["host"] == host

# Errors are documents.
try:
    urllib.request.urlopen(url + "/%2e%2e/x", timeout=20)
    raise AssertionError("a path above the root was served")
except urllib.error.HTTPError as error:
    problem = json.load(error)
    assert (error.code, problem["code"], error.headers["Content-Type"]) == (400, "path_invalid", "application/problem+json")
    assert problem["request_id"] == error.headers["X-Request-Id"]

# Events arrive one by one.
events = urllib.request.urlopen(url + "/events", timeout=20)
assert events.readline() == b"data: first\n"
urllib.request.urlopen(url + "/go-on", timeout=20)
assert events.read() == b"\ndata: second\n\n"
