"""Providers with TLS for test_upstream: one with a right certificate, and some that must be refused.

Makes an authority and certificates with the openssl command in the folder given, then prints
`KIND PORT` a line and `ready`. With nginx installed there is also `h2`, which speaks HTTP/2 and has
a file /big of 3 MB. Every plaintext byte that a client sends is printed as `got KIND ...`:
a refused provider must never print one."""
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

FOLDER = sys.argv[1]
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*words):
    subprocess.run(["openssl", *words], cwd=FOLDER, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def certificate(kind, names, days, signed=True):
    with open(os.path.join(FOLDER, kind + ".ext"), "w") as f:
        f.write("subjectAltName=" + names + "\n")
    openssl("req", *NEW_KEY, "-keyout", kind + ".key", "-out", kind + ".csr",
            "-subj", "/CN=provider")
    signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"] if signed else \
        ["-signkey", kind + ".key"]
    words = ["x509", "-req", "-in", kind + ".csr", *signer, "-extfile", kind + ".ext", "-out", kind + ".pem"]
    try:
        openssl(*words, "-days", str(days))
    except subprocess.CalledProcessError:  # from 3.4 on it takes no end in the past that way
        openssl(*words, "-not_before", "20200101000000Z", "-not_after", "20200102000000Z")


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


def start_nginx():
    """The child, or None. nginx can't pick a port, so a free one is taken and given back."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not nginx:
        return None
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with open(os.path.join(FOLDER, "big"), "wb") as f:
        f.write(bytes(i * i % 251 for i in range(3000)) * 1000)
    with open(os.path.join(FOLDER, "nginx.conf"), "w") as f:
        f.write(f"""daemon off; master_process off; pid {FOLDER}/nginx.pid; error_log /dev/null;
events {{}}
http {{
    access_log off; client_body_temp_path {FOLDER}; proxy_temp_path {FOLDER};
    fastcgi_temp_path {FOLDER}; uwsgi_temp_path {FOLDER}; scgi_temp_path {FOLDER};
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate good.pem; ssl_certificate_key good.key;
        root {FOLDER};
    }}
}}
""")
    child = subprocess.Popen([nginx, "-p", FOLDER, "-c", "nginx.conf"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            print("h2", port, flush=True)
            return child
        except OSError:
            time.sleep(0.05)
    return child


def main():
    openssl("req", "-x509", *NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem",
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
    child = start_nginx()
    print("ready", flush=True)
    sys.stdin.read()  # until the test ends
    if child:
        child.terminate()
        child.wait()
    shutil.rmtree(FOLDER, ignore_errors=True)


main()
