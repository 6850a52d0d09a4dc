"""A gRPC service without generated code: says its port, then serves. Messages are bytes."""

import time
from concurrent import futures

import grpc


def unary(request, context):
    context.set_trailing_metadata([("x-trailer", "kept")])
    return request.upper()


def fail(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: 100 % sure")


def slow(request, context):
    time.sleep(5)
    return b""


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def join(requests, context):
    return b"+".join(requests)


def echo(requests, context):
    for request in requests:
        yield b"echo " + request


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Slow": grpc.unary_unary_rpc_method_handler(slow),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Join": grpc.stream_unary_rpc_method_handler(join),
    "Echo": grpc.stream_stream_rpc_method_handler(echo),
}

server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Test", HANDLERS)])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
