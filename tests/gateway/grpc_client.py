"""What gRPC's own client does with a gateway. The URL is the argument."""

import queue
import sys
from urllib.parse import urlsplit

import grpc

channel = grpc.insecure_channel(urlsplit(sys.argv[1]).netloc)
grpc.channel_ready_future(channel).result(timeout=20)


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the call succeeded")


unary = channel.unary_unary("/shop.Test/Unary")
answer, call = unary.with_call(b"hello", timeout=20)
assert answer == b"HELLO"
assert ("x-trailer", "kept") in call.trailing_metadata(), call.trailing_metadata()
large = b"x" * 2_000_000
assert unary(large, timeout=20) == large.upper()

counted = list(channel.unary_stream("/shop.Test/Count")(b"1000", timeout=20))
assert counted == [str(number).encode() for number in range(1000)]

joined = channel.stream_unary("/shop.Test/Join")(iter([b"a", b"b", b"c"]), timeout=20)
assert joined == b"a+b+c"

# Each message is sent when the answer to the one before has come.
messages = queue.Queue()
answers = channel.stream_stream("/shop.Test/Echo")(iter(messages.get, None), timeout=20)
for word in [b"one", b"two", b"three"]:
    messages.put(word)
    assert next(answers) == b"echo " + word
messages.put(None)
assert list(answers) == []

status, details = failure(lambda: channel.unary_unary("/shop.Test/Fail")(b"", timeout=20))
assert (status, details) == (grpc.StatusCode.FAILED_PRECONDITION, "not today: 100 % sure"), (status, details)
status, _ = failure(lambda: channel.unary_unary("/shop.Test/Missing")(b"", timeout=20))
assert status == grpc.StatusCode.UNIMPLEMENTED, status
status, _ = failure(lambda: channel.unary_unary("/shop.Test/Slow")(b"", timeout=0.3))
assert status == grpc.StatusCode.DEADLINE_EXCEEDED, status

# The connection outlives a call that was given up.
assert unary(b"again", timeout=20) == b"AGAIN"
