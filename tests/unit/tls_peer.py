"""Providers with TLS for test_upstream: one with a right certificate, and some that must be refused.

Makes an authority and certificates with the openssl command in the folder given, then prints
`KIND PORT` a line and `ready`. Every plaintext byte that a client sends is printed as `got KIND ...`:
a refused provider must never print one."""
import os
import socket
import ssl
import subprocess
import sys
import threading

FOLDER = sys.argv[1]


def openssl(*words):
    subprocess.run(["openssl", *words], cwd=FOLDER, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def certificate(kind, names, days, signed=True):
    with open(os.path.join(FOLDER, kind + ".ext"), "w") as f:
        f.write("subjectAltName=" + names + "\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", kind + ".key", "-out", kind + ".csr",
            "-subj", "/CN=provider")
    signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"] if signed else \
        ["-signkey", kind + ".key"]
    openssl("x509", "-req", "-in", kind + ".csr", *signer, "-days", str(days), "-extfile",
            kind + ".ext", "-out", kind + ".pem")


def answer(connection, kind):
    while True:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        print("got", kind, head.split(b"\r\n")[0].decode("latin-1"), flush=True)
        path = head.split(b" ")[1]
        if path == b"/cut":  # no close_notify, no last byte
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        elif path == b"/cut-unframed":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nshort")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            continue
        os.close(connection.detach())
        return


def serve(kind, listener, context):
    def one(raw):
        try:
            with context.wrap_socket(raw, server_side=True) as connection:
                answer(connection, kind)
        except OSError:
            raw.close()

    while True:
        threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()


def main():
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-subj", "/CN=authority of a test", "-days", "2")
    certificate("good", "IP:127.0.0.1,DNS:localhost", 2)
    certificate("wrong", "DNS:elsewhere.example", 2)
    certificate("expired", "IP:127.0.0.1", -1)
    certificate("self", "IP:127.0.0.1", 2, signed=False)
    for kind in ("good", "wrong", "expired", "self"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(FOLDER, kind + ".pem"), os.path.join(FOLDER, kind + ".key"))
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve, args=(kind, listener, context), daemon=True).start()
        print(kind, listener.getsockname()[1], flush=True)
    print("ready", flush=True)
    sys.stdin.read()  # until the test ends


main()
