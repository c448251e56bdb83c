# shellcheck shell=bash
# What ./tests/run, ./stress/run and .ci/run share: the system's packages, the build. Sourced by bash.
# All chatter goes to stderr: stdout belongs to the program that is run.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s\n' "$*" >&2; }
refuse() { # one clear sentence with the remedy: nothing has been started
    say "$me: $*"
    exit 2
}

# --- The system's packages -------------------------------------------------------------------------------------------

detect_system() { # sets system and clang (the compiler of the thread sanitizer)
    local ID='' VERSION_ID='' PRETTY_NAME='this system'
    [[ -r /etc/os-release ]] && . /etc/os-release
    clang=clang++
    case "$ID-$VERSION_ID" in
    debian-12) system=debian12 clang=clang++-14 ;;
    debian-13) system=debian13 ;;
    ubuntu-24.04) system=ubuntu2404 ;;
    *) refuse "knows the packages of Debian 12, Debian 13 and Ubuntu 24.04, not of $PRETTY_NAME;" \
        "install g++ 12 or clang 14, CMake 3.25, Ninja, Boost 1.81, libpq, CLI11, Catch2, spdlog, libsodium, Python 3" \
        "and the PostgreSQL server (each at least in this version) and set TRUNKLINE_SETUP=skip" ;;
    esac
}

packages_for() { # packages_for build|server|tests|tsan|coverage|debian13…
    local what boost=1.83
    [[ $system == debian12 ]] && boost=1.81
    for what; do
        case $what in
        build) echo g++ cmake ninja-build ccache "libboost$boost-dev" libpq-dev ;;
        stress) echo "libboost-json$boost-dev" libcli11-dev ;;
        server) echo postgresql ;;
        tests) echo catch2 libspdlog-dev libsodium-dev python3 openssl iproute2 pgbouncer ;;
        tsan) [[ $system == debian12 ]] && echo clang-14 libclang-rt-14-dev || echo clang libclang-rt-dev ;;
        coverage) echo gcovr ;;
        debian13) echo debootstrap ;;
        esac
    done
}

is_installed() {
    # Any server will do, also one that did not come with the package of that name.
    if [[ $1 == postgresql ]] && compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then return 0; fi
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

set_up() { # set_up build tests…: installs what is missing of these sets; quick when nothing is
    [[ ${TRUNKLINE_SETUP:-} == skip ]] && { clang=${TRUNKLINE_CLANG:-clang++}; return; }
    detect_system
    local package missing=() as_root=()
    for package in $(packages_for "$@"); do is_installed "$package" || missing+=("$package"); done
    ((${#missing[@]})) || return 0

    [[ $system != ubuntu2404 ]] || say "$me: Ubuntu 24.04 is untested; a report is welcome"
    if ((EUID != 0)); then
        if ! sudo -n true 2>/dev/null; then
            say "$me: packages are missing and there are no rights to install them; run this once, then start again:"
            say "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
            exit 2
        fi
        as_root=(sudo -n)
    fi
    say "$me: installing ${missing[*]}"
    if [[ " ${missing[*]} " == *" libboost1.81-dev "* ]] && is_installed libboost1.74-dev; then
        say "$me: libboost1.74-dev goes: the two cannot be installed together"
    fi
    if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
        # The package would make a cluster and start it on port 5432. Ours are made and removed by each run.
        say "$me: PostgreSQL is installed without a cluster of its own (/etc/postgresql-common/createcluster.conf)"
        "${as_root[@]}" mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    if [[ " ${missing[*]} " == *" pgbouncer "* ]]; then
        say "$me: PgBouncer comes with a service that the tests do not use; systemctl disable --now pgbouncer ends it"
    fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300) log
    log=$(mktemp)
    if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        refuse "the packages could not be installed; the lines above say why"
    fi
    rm -f "$log"
}

# --- The build -------------------------------------------------------------------------------------------------------

can_write() { # to a build folder, or to the place where it would be made
    local folder=$1
    if [[ -e $folder/CMakeCache.txt && ! -w $folder/CMakeCache.txt ]]; then return 1; fi
    while [[ ! -e $folder ]]; do folder=$(dirname -- "$folder"); done
    [[ -w $folder ]]
}

build_folder() { # build_folder NAME: in the checkout; in the user's cache when the checkout is somebody else's
    local folder=$root/build/$1 checkout place
    checkout=$(printf %s "$root" | cksum | cut -d' ' -f1)
    for place in "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/trunkline" "${TMPDIR:-/tmp}/trunkline-$UID"; do
        can_write "$folder" && break
        # A folder that somebody else made under this name would choose what is run.
        [[ ! -e $place || -O $place ]] && folder=$place/$checkout/$1
    done
    can_write "$folder" || refuse "no place to build: $root/build is not writable, nor is ${TMPDIR:-/tmp}"
    printf '%s\n' "$folder"
}

quietly() { # quietly LOG COMMAND…: a terminal sees the progress; else only a failure is shown
    local log=$1
    shift
    if [[ -t 2 ]]; then "$@" >&2; else "$@" >"$log" 2>&1 || { tail -n 200 "$log" >&2; return 1; }; fi
}

configure_and_build() { # configure_and_build PRESET FOLDER TARGET… [-- CMAKE_ARGUMENT…]
    local preset=$1 folder=$2 targets=() started=$SECONDS
    shift 2
    while (($#)) && [[ $1 != -- ]]; do targets+=(--target "$1") && shift; done
    shift || :
    mkdir -p -- "$folder"
    [[ -w ${HOME:-/nonexistent} ]] || export CCACHE_DIR=${CCACHE_DIR:-$folder/ccache}
    # Another checkout of the same sources, a fresh clone say, finds what this one has compiled.
    export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}
    # Two starts at once take turns: the second finds everything built.
    exec 9>"$folder/.lock"
    flock -n 9 || { say "$me: waiting for another build in $folder" && flock 9; }
    if [[ -e $folder/CMakeCache.txt ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$folder/CMakeCache.txt"; then
        rm -rf -- "$folder/CMakeCache.txt" "$folder/CMakeFiles" # the checkout was moved
    fi
    if [[ $preset == tsan ]]; then set -- "-DCMAKE_CXX_COMPILER=$clang" "$@"; fi
    quietly "$folder/configure.log" cmake -S "$root" --preset "$preset" -B "$folder" --log-level=NOTICE "$@" ||
        { say "$me: the build could not be configured"; exit 1; }
    quietly "$folder/build.log" cmake --build "$folder" --parallel "$(nproc)" "${targets[@]}" ||
        { say "$me: the build failed"; exit 1; }
    exec 9>&-
    ((SECONDS - started < 5)) || say "$me: built in $((SECONDS - started)) s"
}
