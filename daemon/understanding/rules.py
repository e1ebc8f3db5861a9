# SPDX-License-Identifier: GPL-2.0-or-later
"""The table that gives a program's purpose by its name and arguments. Pure data.

Names are whole file names without their folder, `*` at the end matches the rest; versions after a
dash (`clang-19`) and a dot (`python3.13`) are cut before the lookup. Arguments are regular
expressions over the command line. First match wins, arguments before names.
"""

from dataclasses import dataclass

from daemon.api.models import ProgramKind as Kind


@dataclass(frozen=True)
class ByArguments:
    """The kind of a program with many uses, by its arguments."""

    kind: Kind
    programs: str
    pattern: str
    why: str


PYTHON = "python pypy"
JAVA = "java"
NODE = "node nodejs bun deno npm npx yarn pnpm"

BY_ARGUMENTS: tuple[ByArguments, ...] = (
    # ---- test suites, before the builds that start them
    ByArguments(Kind.TEST_SUITE, "cargo", r"\b(test|nextest)\b", "cargo runs tests"),
    ByArguments(Kind.TEST_SUITE, "go", r"^\S+ test\b", "go runs tests"),
    ByArguments(
        Kind.TEST_SUITE, "make gmake ninja meson", r"\s(check|test|tests)\b", "a target of tests"
    ),
    ByArguments(Kind.TEST_SUITE, "mvn gradle gradlew bazel", r"\s(test|verify|check)\b", "tests"),
    ByArguments(
        Kind.TEST_SUITE,
        PYTHON,
        r"-m\s*(pytest|unittest|nose2?|tox|nox)\b|/(pytest|py\.test|tox|nox)\b|manage\.py test\b",
        "Python runs tests",
    ),
    ByArguments(
        Kind.TEST_SUITE,
        NODE,
        r"\b(jest|mocha|vitest|karma|cypress|playwright)\b|\btest\b",
        "a runner of tests",
    ),
    ByArguments(Kind.TEST_SUITE, JAVA, r"\b(junit|surefire|testng)", "a runner of tests"),
    # ---- machine learning
    ByArguments(
        Kind.ML_INFERENCE,
        PYTHON,
        r"\b(vllm|sglang|text_generation|tritonserver|torchserve|llama_cpp|whisper|faster_whisper|"
        r"mlc_llm|ray serve|bentoml)\b|\b(infer(ence)?|generate|predict|serve_model)\w*\.py\b",
        "serves or asks a model",
    ),
    ByArguments(
        Kind.ML_TRAINING,
        PYTHON,
        r"torch\.distributed|torchrun|\b(deepspeed|accelerate|horovodrun|axolotl)\b|"
        r"\b\w*(train|finetune|fine_tune|pretrain)\w*\.py\b|--(epochs|learning[-_]rate|lr)\b",
        "trains a model",
    ),
    # ---- servers inside of language runtimes
    ByArguments(
        Kind.WEB_SERVER,
        PYTHON,
        r"\b(uvicorn|gunicorn|hypercorn|daphne|waitress|flask|http\.server|granian)\b|runserver",
        "a web server in Python",
    ),
    ByArguments(
        Kind.BROKER, JAVA, r"kafka\.Kafka|activemq|org\.apache\.(zookeeper|pulsar)", "a broker"
    ),
    ByArguments(
        Kind.DATABASE,
        JAVA,
        r"cassandra|elasticsearch|opensearch|neo4j|hbase|org\.apache\.solr|hsqldb",
        "a database in Java",
    ),
    ByArguments(
        Kind.WEB_SERVER,
        JAVA,
        r"catalina|tomcat|jetty|undertow|wildfly|jboss|spring|quarkus|netty",
        "a web server in Java",
    ),
    ByArguments(
        Kind.BUILD,
        JAVA,
        r"gradle|maven|org\.jetbrains\.kotlin|scala\.tools|sbt-launch|bazel|zinc",
        "a build tool in Java",
    ),
    ByArguments(Kind.GAME, JAVA, r"net\.minecraft|minecraft\w*\.jar|paper\S*\.jar", "a game"),
    ByArguments(
        Kind.BUILD,
        NODE,
        r"\b(webpack|vite|rollup|esbuild|tsc|parcel|turbo|babel|gulp|grunt)\b|\bbuild\b",
        "builds JavaScript",
    ),
    ByArguments(
        Kind.WEB_SERVER,
        NODE,
        r"\b(next|nuxt|express|fastify|koa|nest)\b|\b(server|app|index)\.[cm]?js\b",
        "a web server in JavaScript",
    ),
    ByArguments(Kind.WEB_SERVER, "ruby", r"\b(puma|unicorn|rails|passenger|thin)\b", "a server"),
    ByArguments(Kind.TEST_SUITE, "ruby", r"\b(rspec|minitest|cucumber)\b", "a runner of tests"),
    ByArguments(Kind.TEST_SUITE, "perl", r"\bprove\b|\.t\b", "a runner of tests"),
    ByArguments(Kind.BROKER, "beam.smp erl", r"rabbit|ejabberd|emqx|vernemq", "a broker"),
    ByArguments(Kind.DATABASE, "beam.smp erl", r"couch|riak", "a database"),
    # ---- programs with several sides
    ByArguments(Kind.ML_INFERENCE, "ollama", r"\b(serve|runner)\b", "serves a model"),
    ByArguments(Kind.LOAD_GENERATOR, "perf", r"\bbench\b", "a benchmark"),
    ByArguments(Kind.ENCODER, "gst-launch", r"enc\b|mux\b", "encodes a stream"),
    ByArguments(Kind.COMPRESSION, "tar bsdtar", r"^\S+ -?\w*[zjJ]|--(zstd|gzip|xz)", "packs"),
    ByArguments(Kind.BATCH, "blender", r"\s(-b|--background)\b", "renders"),
    ByArguments(Kind.BUILD, "docker buildctl buildah podman", r"\bbuild\b", "builds an image"),
)

# Each line: names of one kind, separated by spaces.
BY_NAME: tuple[tuple[Kind, str], ...] = (
    (
        Kind.BUILD,
        "make gmake ninja samu cmake meson scons bazel buck2 cc1 cc1plus cc1obj lto1 lto-wrapper "
        "collect2 cc gcc g++ c++ clang clang++ clang-cl flang gfortran f951 gnat1 as ld ld.bfd "
        "ld.gold ld.lld lld mold wild ar ranlib strip objcopy rustc cargo rustdoc go compile asm "
        "link javac kotlinc scalac gradle gradlew mvn sbt ant tsc esbuild webpack swiftc "
        "swift-frontend ghc ocamlopt ocamlopt.opt ocamlc.opt dune dmd ldc2 nim zig nvcc ptxas "
        "cicc fatbinary ccache sccache distcc distccd icecc iceccd goma moc uic rcc depmod "
        "automake autoconf configure dpkg-buildpackage dh rpmbuild makepkg nix-build nix-daemon "
        "buildkitd emcc wasm-opt yosys nextpnr* verilator pdflatex xelatex lualatex tex "
        "x86_64-linux-gnu-* aarch64-linux-gnu-* msbuild",
    ),
    (
        Kind.TEST_SUITE,
        "pytest py.test ctest tox nox jest mocha vitest phpunit rspec bats prove cypress "
        "cargo-nextest kselftest ltp-pan runltp",
    ),
    (
        Kind.DATABASE,
        "postgres postgresql postmaster mysql mysqld mariadb mariadbd mongod mongos sqlservr "
        "oracle clickhouse clickhouse-server cockroach influxd cassandra scylla etcd fdbserver "
        "sqlite3 duckdb "
        "tidb-server tikv-server pd-server arangod dgraph questdb victoria-metrics rethinkdb "
        "firebird ydbd qdrant milvus weaviate meilisearch typesense surreal immudb",
    ),
    (
        Kind.CACHE,
        "redis redis-server valkey valkey-server memcached keydb-server dragonfly varnishd garnet",
    ),
    (
        Kind.WEB_SERVER,
        "nginx apache2 httpd lighttpd caddy uvicorn gunicorn hypercorn uwsgi puma unicorn "
        "php-fpm* thttpd darkhttpd h2o openlitespeed litespeed tomcat jetty daphne granian hugo",
    ),
    (Kind.PROXY, "haproxy envoy traefik squid pgbouncer linkerd2-proxy stunnel stunnel4 dnsmasq"),
    (Kind.BROKER, "nats-server mosquitto rabbitmq-server kafka redpanda activemq nsqd beanstalkd"),
    (
        Kind.ENCODER,
        "ffmpeg x264 x265 HandBrakeCLI SvtAv1EncApp SvtHevcEncApp aomenc rav1e vpxenc av1an lame "
        "oggenc opusenc flac mencoder melt cjxl cwebp avifenc mkvmerge",
    ),
    (
        Kind.COMPRESSION,
        "gzip pigz bzip2 pbzip2 lbzip2 xz pixz zstd zstdmt pzstd lz4 lzop brotli 7z 7za 7zr 7zz "
        "zip unzip rar unrar lrzip zpaq unxz gunzip unzstd mksquashfs",
    ),
    (Kind.ML_TRAINING, "torchrun deepspeed accelerate horovodrun xgboost lightgbm"),
    (
        Kind.ML_INFERENCE,
        "vllm ollama llama-server llama-cli llama-bench tritonserver tensorflow_model_server "
        "torchserve whisper-cli whisper-server text-generation-launcher koboldcpp localai "
        "stable-diffusion sd-server",
    ),
    (
        Kind.INTERACTIVE,
        "vim nvim vi emacs nano helix hx kak micro code codium firefox firefox-esr chrome chromium "
        "brave Xorg Xwayland X gnome-shell kwin_x11 kwin_wayland plasmashell sway weston hyprland "
        "mutter labwc xfwm4 i3 alacritty kitty foot wezterm-gui gnome-terminal-* konsole xterm "
        "tmux screen htop top btop less man mosh-server thunderbird soffice.bin evince okular gimp "
        "inkscape obs slack discord zoom teams nautilus dolphin",
    ),
    (Kind.AUDIO, "pipewire pipewire-pulse wireplumber pulseaudio jackd ardour* bitwig-* reaper"),
    (Kind.GAME, "steam steamwebhelper gamescope wineserver wine64-preloader retroarch godot"),
    (
        Kind.LOAD_GENERATOR,
        "stress-ng* stress hackbench schbench cyclictest sysbench wrk wrk2 ab siege hey k6 vegeta "
        "locust pgbench redis-benchmark memtier_benchmark iperf iperf3 netperf fio bonnie++ "
        "db_bench ycsb jmeter oha bombardier rt-app",
    ),
    (
        Kind.BATCH,
        "rsync borg restic duplicity rclone updatedb updatedb.plocate find sort gawk mawk awk "
        "Rscript R julia octave-cli MATLAB gmx mdrun_mpi lmp namd2 namd3 mpirun mpiexec orterun "
        "vasp* cp dd bwa samtools minimap2 blastn hmmsearch snakemake nextflow povray cbmc z3 "
        "minisat cadical kissat glpsol gurobi_cl john hashcat xmrig yes sha256sum md5sum openssl",
    ),
    (
        Kind.CONTAINER_RUNTIME,
        "dockerd docker containerd containerd-shim* runc crun conmon podman crio kubelet "
        "kube-proxy kube-apiserver docker-proxy buildah lxc-start lxd incusd nerdctl",
    ),
    (
        Kind.VIRTUAL_MACHINE,
        "qemu-system-* qemu-kvm kvm firecracker cloud-hypervisor crosvm VBoxHeadless "
        "VirtualBoxVM vmware-vmx libvirtd virtqemud",
    ),
    (
        Kind.SYSTEM_SERVICE,
        "systemd systemd-* init dbus-daemon dbus-broker dbus-broker-launch rsyslogd cron crond "
        "atd sshd sshd-session NetworkManager wpa_supplicant polkitd snapd packagekitd chronyd "
        "ntpd irqbalance prometheus node_exporter telegraf collectd grafana grafana-server "
        "fluent-bit fluentd filebeat vector datadog-agent agetty login udevd accounts-daemon "
        "unattended-upgr* fail2ban-server schedpilotd schedpilot-* tuned thermald upowerd cupsd "
        "avahi-daemon named unbound postfix master exim4 dovecot",
    ),
    (Kind.LANGUAGE_RUNTIME, "java python pypy node nodejs bun deno ruby perl php erl beam.smp"),
    (Kind.LANGUAGE_RUNTIME, "dotnet mono lua luajit guile racket sbcl"),
)

# The figure that counts for kinds of programs. For all other kinds their behaviour decides.
SERVERS = frozenset({Kind.DATABASE, Kind.CACHE, Kind.WEB_SERVER, Kind.PROXY, Kind.BROKER})
FOR_PEOPLE = frozenset({Kind.INTERACTIVE, Kind.AUDIO, Kind.GAME})
BATCHES = frozenset(
    {Kind.BUILD, Kind.TEST_SUITE, Kind.ENCODER, Kind.COMPRESSION, Kind.ML_TRAINING, Kind.BATCH}
)

# Programs that start other programs and have no kind themselves: their arguments are checked, then
# their context.
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "fish", "ksh", "ash", "busybox"})
_WRAPPERS = (
    "env nice ionice chrt taskset timeout sudo doas su setsid nohup stdbuf xargs parallel time "
    "systemd-run numactl strace ltrace tini dumb-init s6-svscan catatonit prlimit unshare bwrap "
    "flock watch script"
)
WRAPPERS = frozenset(_WRAPPERS.split())
# Libraries that show a language runtime's purpose, by the beginning of their names.
BY_LIBRARY: tuple[tuple[Kind, str, str], ...] = (
    (Kind.ML_INFERENCE, "libllama", "a library for language models"),
    (Kind.ML_INFERENCE, "libonnxruntime", "a library for inference"),
    (Kind.ML_INFERENCE, "libggml", "a library for inference"),
    (Kind.ML_TRAINING, "libtorch", "PyTorch"),
    (Kind.ML_TRAINING, "libtensorflow", "TensorFlow"),
    (Kind.ENCODER, "libx264", "an encoder of video"),
    (Kind.ENCODER, "libx265", "an encoder of video"),
    (Kind.INTERACTIVE, "libgtk", "a toolkit for windows"),
    (Kind.INTERACTIVE, "libQt6Gui", "a toolkit for windows"),
    (Kind.INTERACTIVE, "libQt5Gui", "a toolkit for windows"),
    (Kind.GAME, "libvulkan", "a library for graphics"),
)
