#!/bin/sh
# deps.sh run|test|ci LIB...: finds missing libraries with pkg-config and installs them with apt-get
# when root or sudo is there (saying what, first); else prints the command to type and stops. `test`
# adds what the tests drive, `ci` also clang (fuzzing), node and pip (real SDKs), and what single tests use.
set -eu
kind=$1
shift

# pkg-config name → Debian · Fedora · Arch package
package() {
    case "$1:$2" in
    libmicrohttpd:*) echo "libmicrohttpd-dev libmicrohttpd-devel libmicrohttpd" ;;
    libcurl:*) echo "libcurl4-openssl-dev libcurl-devel curl" ;;
    sqlite3:*) echo "libsqlite3-dev sqlite-devel sqlite" ;;
    libcjson:*) echo "libcjson-dev cjson-devel cjson" ;;
    ncursesw:*) echo "libncurses-dev ncurses-devel ncurses" ;;
    libsodium:*) echo "libsodium-dev libsodium-devel libsodium" ;;
    libzstd:*) echo "libzstd-dev libzstd-devel zstd" ;;
    yaml-0.1:*) echo "libyaml-dev libyaml-devel libyaml" ;;
    zlib:*) echo "zlib1g-dev zlib-devel zlib" ;;
    cmocka:*) echo "libcmocka-dev libcmocka-devel cmocka" ;;
    vterm:*) echo "libvterm-dev libvterm-devel libvterm" ;;
    esac
}

if [ "$(uname)" != Linux ]; then
    echo "pointsman builds on Linux; from macOS use it over ssh: ssh HOST pointsman attach" >&2
    exit 1
fi

apt= dnf= pacman=
add() {
    apt="$apt $1"
    dnf="$dnf $2"
    pacman="$pacman $3"
}
command -v cc >/dev/null 2>&1 || add gcc gcc gcc
command -v make >/dev/null 2>&1 || add make make make
if command -v pkg-config >/dev/null 2>&1; then
    for lib; do
        # shellcheck disable=SC2046
        pkg-config --exists "$lib" 2>/dev/null || add $(package "$lib" x)
    done
else
    add pkg-config pkgconf-pkg-config pkgconf
    for lib; do
        # shellcheck disable=SC2046
        add $(package "$lib" x)
    done
fi
[ -e /usr/include/uthash.h ] || add uthash-dev uthash-devel uthash
if [ "$kind" != run ]; then
    # Debian has a python3-minimal without most of the library
    python3 -c "import concurrent.futures" 2>/dev/null || add python3 python3 python
    command -v tmux >/dev/null 2>&1 || add tmux tmux tmux
    command -v openssl >/dev/null 2>&1 || add openssl openssl openssl
    [ -e /usr/share/zoneinfo/Europe/Berlin ] || add tzdata tzdata tzdata
fi
if [ "$kind" = ci ]; then
    command -v clang >/dev/null 2>&1 || add clang clang clang
    ls "$(clang -print-resource-dir 2>/dev/null)"/lib/*/libclang_rt.fuzzer-* >/dev/null 2>&1 ||
        add libclang-rt-dev compiler-rt compiler-rt
    command -v node >/dev/null 2>&1 || add nodejs nodejs nodejs
    command -v npm >/dev/null 2>&1 || add npm npm npm
    # without these some tests skip
    command -v valgrind >/dev/null 2>&1 || add valgrind valgrind valgrind
    command -v ip >/dev/null 2>&1 || add iproute2 iproute iproute2
    PATH=$PATH:/usr/sbin command -v nginx >/dev/null 2>&1 || add nginx nginx nginx
    python3 -c "import ensurepip" 2>/dev/null || add python3-venv python3 python
fi
[ -z "$apt" ] && exit 0

if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1; then
        sudo=sudo
    else
        sudo=none
    fi
    if [ "$sudo" != none ]; then
        echo "installing:$apt"
        # a source of somebody else that is gone matters only if the packages can't be had
        $sudo apt-get update -qq || echo "apt-get update failed; trying with the lists that are there"
        # shellcheck disable=SC2086
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $apt >/dev/null
        exit 0
    fi
fi
echo "missing packages. Install them with one of:" >&2
echo "  sudo apt-get install$apt" >&2
echo "  sudo dnf install$dnf" >&2
echo "  sudo pacman -S$pacman" >&2
exit 1
