"""One whole session with an app-server: `python3 session.py COMMAND...`

COMMAND starts a server whose store has hardware. Every step is printed; exit status 0 says that all
of them went as docs/app-server.md has it.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time

from client import AppServer

CONNECTION_PATH = "/api/codex/remote/control/client"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def connection_payload(**changes):
    payload = {
        "type": "remoteControlClientConnection",
        "nonce": base64url(os.urandom(32)),
        "audience": "remote_control_client_websocket",
        "sessionId": "session-1",
        "targetOrigin": "https://chatgpt.com",
        "targetPath": CONNECTION_PATH,
        "accountUserId": "user-é-1",
        "clientId": "client-1",
        "tokenExpiresAt": int(time.time()) + 600,
        "tokenSha256Base64url": base64url(hashlib.sha256(b"a token").digest()),
        "scopes": ["remote_control_controller_websocket"],
    }
    return {**payload, **changes}


def expect(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


def error_of(answer):
    """(number, machine code) of an answer that has to be an error."""
    if "error" not in answer:
        raise AssertionError(f"expected an error, got {answer!r}")
    error = answer["error"]
    if not isinstance(error["message"], str) or not error["message"]:
        raise AssertionError(f"an error without a message: {answer!r}")
    return error["code"], error["data"]["code"]


def result_of(answer):
    if "result" not in answer:
        raise AssertionError(f"expected a result, got {answer!r}")
    return answer["result"]


def verify(public_key_base64, signature_base64, signed_base64):
    """Whether OpenSSL accepts the signature over exactly the given bytes."""
    with tempfile.TemporaryDirectory() as directory:
        key, signature = os.path.join(directory, "key"), os.path.join(directory, "signature")
        with open(key, "wb") as file:
            file.write(base64.b64decode(public_key_base64, validate=True))
        with open(signature, "wb") as file:
            file.write(base64.b64decode(signature_base64, validate=True))
        command = ["openssl", "dgst", "-sha256", "-verify", key, "-keyform", "DER"]
        outcome = subprocess.run(
            [*command, "-signature", signature],
            input=base64.b64decode(signed_base64, validate=True),
            capture_output=True,
            check=False,
        )
        return outcome.returncode == 0


def check_proof(key, payload, result):
    expect(result["algorithm"], "ecdsa_p256_sha256", "the algorithm")
    signed = json.loads(base64.b64decode(result["signedPayloadBase64"], validate=True))
    expected = {"domain": "codex-device-key-sign-payload/v1", "payload": payload}
    expect(signed, expected, "what was signed")
    proof = result["signatureDerBase64"], result["signedPayloadBase64"]
    expect(verify(key["publicKeySpkiDerBase64"], *proof), True, "the signature's verification")


def opening(server):
    expect(
        error_of(server.request(0, "device/key/list")), (-32600, "not_initialized"), "too early"
    )
    hello = result_of(server.request("hello", "initialize", {"clientInfo": {"name": "session.py"}}))
    members = "codexHome name platform platformFamily platformOs userAgent version".split()
    expect(sorted(hello), members, "what initialize answers")
    server.send({"method": "initialized"})
    again = server.request("again", "initialize", {"clientInfo": {"name": "session.py"}})
    expect(result_of(again), hello, "a second initialize of the same client")
    other = server.request("other", "initialize", {"clientInfo": {"name": "another"}})
    expect(error_of(other), (-32600, "already_initialized"), "the initialize of another client")


def enrollment(server):
    payload = connection_payload()
    owner = {member: payload[member] for member in ("accountUserId", "clientId")}
    key = result_of(server.request(1, "device/key/create", owner))
    expect(key["protectionClass"], "hardware_tpm", "the protection class")
    expect(result_of(server.request(2, "device/key/public", {"keyId": key["keyId"]})), key, "public")
    answer = server.request(3, "device/key/sign", {"keyId": key["keyId"], "payload": payload})
    check_proof(key, payload, result_of(answer))
    flipped = bytearray(base64.b64decode(result_of(answer)["signedPayloadBase64"]))
    flipped[-1] ^= 1
    signature = result_of(answer)["signatureDerBase64"]
    expect(
        verify(key["publicKeySpkiDerBase64"], signature, base64.b64encode(flipped)),
        False,
        "the verification of other bytes",
    )
    return key


def extensions(server, key):
    listed = result_of(server.request(4, "device/key/list"))["keys"]
    expect([item["keyId"] for item in listed], [key["keyId"]], "the keys")
    expect(result_of(server.request(5, "device/key/support"))["hardware"], True, "the hardware")


def notation(server):
    """Ids, `jsonrpc` and line ends, as a client may write them."""
    for identifier in ["1", "", "ü \ud83d\udd11 \" \\ \n", 0, -7, 2**53 - 1]:
        result_of(server.request(identifier, "device/key/list"))
    server.send({"jsonrpc": "2.0", "id": "v", "method": "device/key/list"})
    expect(server.answer("v")["jsonrpc"], "2.0", "jsonrpc of an answer")
    server.send({"jsonrpc": "2.0", "id": "v", "method": "nothing/like/it"})
    expect(server.answer("v")["jsonrpc"], "2.0", "jsonrpc of an error")
    expect("jsonrpc" in server.request("w", "device/key/list"), False, "jsonrpc without jsonrpc in the request")
    server.send_bytes(b'\r\n\n  \n{"id":"crlf",\t"method":"device/key/list"}\r\n')
    result_of(server.answer("crlf"))
    server.send({"method": "device/key/create", "params": {}}, {"method": "no/such/notification"})


def malformed(server, key):
    to_nobody = [
        (b"nonsense", (-32700, "parse_error")),
        (b'{"id":1,"method":"device/key/list"', (-32700, "parse_error")),
        (b'\xef\xbb\xbf{"id":1,"method":"device/key/list"}', (-32700, "parse_error")),
        (b'{"id":1,"method":"device/key/\xff"}', (-32700, "parse_error")),
        (b'{"id":"\xed\xa0\x80","method":"device/key/list"}', (-32700, "parse_error")),
        (b"[" * 100_000, (-32700, "parse_error")),
        (b'{"id":1,"method":"' + b"x" * 2**20 + b'"}', (-32700, "parse_error")),
        (b"\x00", (-32700, "parse_error")),
        (b"7", (-32600, "invalid_request")),
        (b"null", (-32600, "invalid_request")),
        (b"{}", (-32600, "invalid_request")),
        (b'[{"id":1,"method":"device/key/list"}]', (-32600, "invalid_request")),
        (b'{"id":null,"method":"device/key/list"}', (-32600, "invalid_request")),
        (b'{"id":true,"method":"device/key/list"}', (-32600, "invalid_request")),
        (b'{"id":1.5,"method":"device/key/list"}', (-32600, "invalid_request")),
        (b'{"id":9007199254740993,"method":"device/key/list"}', (-32600, "invalid_request")),
        (b'{"id":{"id":1},"method":"device/key/list"}', (-32600, "invalid_request")),
    ]
    for line, error in to_nobody:
        server.send_bytes(line + b"\n")
        expect(error_of(server.answer_without_id()), error, repr(line[:40]))

    nobodys_key = key["keyId"][:7] + base64url(bytes(32))
    sign = lambda **changes: {"keyId": key["keyId"], "payload": connection_payload(**changes)}
    to_somebody = [
        ("device/key/steal", {}, (-32601, "method_not_found")),
        ("constructor", {}, (-32601, "method_not_found")),
        ("", {}, (-32601, "method_not_found")),
        ("device/key/create", {"clientId": "c"}, (-32600, "invalid_params")),
        ("device/key/create", ["account", "client"], (-32600, "invalid_params")),
        ("device/key/public", {"keyId": "../../etc/passwd"}, (-32600, "invalid_params")),
        ("device/key/public", {"keyId": nobodys_key}, (-32600, "key_not_found")),
        ("device/key/delete", {"keyId": nobodys_key}, (-32600, "key_not_found")),
        ("device/key/sign", {"keyId": key["keyId"]}, (-32600, "invalid_params")),
        ("device/key/sign", sign(nonce="short"), (-32600, "invalid_payload")),
        ("device/key/sign", sign(scopes=[]), (-32600, "invalid_payload")),
        ("device/key/sign", sign(targetPath="/elsewhere"), (-32600, "invalid_payload")),
        ("device/key/sign", sign(targetOrigin="https://evil.test"), (-32600, "invalid_payload")),
        ("device/key/sign", sign(tokenExpiresAt=int(time.time())), (-32600, "invalid_payload")),
        ("device/key/sign", sign(accountUserId="another"), (-32600, "binding_mismatch")),
    ]
    for number, (method, params, error) in enumerate(to_somebody):
        server.send({"id": f"bad-{number}", "method": method, "params": params})
        answer = server.answer(f"bad-{number}")
        expect(error_of(answer), error, f"{method} {params!r}"[:80])
    server.send({"id": "old", "jsonrpc": "1.0", "method": "device/key/list"})
    expect(error_of(server.answer("old")), (-32600, "invalid_request"), "another jsonrpc")
    server.send({"id": "mute", "method": 7})
    expect(error_of(server.answer("mute")), (-32600, "invalid_request"), "a method of 7")


def thousand_in_flight(server, key):
    payloads = {f"flight-{n}": connection_payload(sessionId=f"session-{n}") for n in range(1000)}
    server.send(
        *(
            {
                "id": identifier,
                "method": "device/key/sign",
                "params": {"keyId": key["keyId"], "payload": payload},
            }
            for identifier, payload in payloads.items()
        )
    )
    results = {identifier: result_of(server.answer(identifier)) for identifier in payloads}
    for identifier in list(payloads)[::100]:
        check_proof(key, payloads[identifier], results[identifier])
    signatures = {result["signatureDerBase64"] for result in results.values()}
    expect(len(signatures), 1000, "the number of different signatures")


def end_of_input(server, key):
    """Requests before the end are answered, also a last line without a line end."""
    request = {"method": "device/key/sign"}
    request["params"] = {"keyId": key["keyId"], "payload": connection_payload()}
    for number in range(20):
        server.send({"id": f"end-{number}", **request})
    server.send_bytes(json.dumps({"id": "last", **request}).encode())
    server.close_input()
    for identifier in [*(f"end-{number}" for number in range(20)), "last"]:
        result_of(server.answer(identifier))
    expect(server.exit_code(), 0, "the exit status")


def main(command):
    server = AppServer(command)
    try:
        opening(server)
        print("initialized")
        key = enrollment(server)
        print("created, read and signed with", key["keyId"])
        extensions(server, key)
        print("listed, and told what protects keys")
        notation(server)
        print("took every notation of a request")
        malformed(server, key)
        print("refused malformed messages")
        thousand_in_flight(server, key)
        print("answered 1000 requests in flight")
        result_of(server.request("delete", "device/key/delete", {"keyId": key["keyId"]}))
        gone = server.request("gone", "device/key/public", {"keyId": key["keyId"]})
        expect(error_of(gone), (-32600, "key_not_found"), "a deleted key")
        owner = {"accountUserId": "user-é-1", "clientId": "client-1"}
        key = result_of(server.request("another", "device/key/create", owner))
        print("deleted the key and created another")
        end_of_input(server, key)
        print("ended with the input")
        expect(server.leftovers(), [], "answers without a request")
    finally:
        server.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
