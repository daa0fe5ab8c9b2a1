// Every flag of etcd 3.4 to 3.7 (testdata/etcd_flags.txt), with what it does here.
#include <array>

#include "kvstore/kvd/flags.h"

namespace keel::kvstore {

namespace {

constexpr FlagKind kText = FlagKind::kText;
constexpr FlagKind kBool = FlagKind::kBool;
constexpr FlagKind kNumber = FlagKind::kNumber;
constexpr FlagKind kDuration = FlagKind::kDuration;
constexpr FlagEffect kUsed = FlagEffect::kUsed;
constexpr FlagEffect kNone = FlagEffect::kNone;
constexpr FlagEffect kRefused = FlagEffect::kRefused;

constexpr std::string_view kMember = "Member";
constexpr std::string_view kClustering = "Clustering";
constexpr std::string_view kSecurity = "Security";
constexpr std::string_view kAuth = "Auth";
constexpr std::string_view kMonitoring = "Profiling and monitoring";
constexpr std::string_view kLogging = "Logging";
constexpr std::string_view kProxy = "v2 proxy";
constexpr std::string_view kFeature = "Features and experiments";
constexpr std::string_view kUnsafe = "Unsafe";

constexpr std::string_view kNoDiscovery =
    "discovery is not offered; list the members in --initial-cluster";
constexpr std::string_view kNoTracing = "traces are not exported";
constexpr std::string_view kNoBolt = "tunes bbolt; the store here is RocksDB";
constexpr std::string_view kNoProxy = "kvd is no proxy";
constexpr std::string_view kNoV2 = "the v2 API is not served";

// One flag a line, however long.
// clang-format off
constexpr auto kFlags = std::to_array<FlagSpec>({
    {kMember, "name", kText, kUsed, "default", "Name of this member, unique in the cluster."},
    {kMember, "data-dir", kText, kUsed, "${name}.etcd", "Folder for everything this member keeps."},
    {kMember, "wal-dir", kText, kUsed, "", "Folder for the Raft log alone, on a faster disk for instance."},
    {kMember, "snapshot-count", kNumber, kUsed, "10000", "Entries applied between two truncations of the Raft log."},
    {kMember, "heartbeat-interval", kNumber, kUsed, "100", "Milliseconds between two heartbeats of the leader."},
    {kMember, "election-timeout", kNumber, kUsed, "1000", "Milliseconds without a leader before an election."},
    {kMember, "initial-election-tick-advance", kBool, kNone, "true", "elections start as soon as they may"},
    {kMember, "listen-peer-urls", kText, kUsed, "http://localhost:2380", "Where to listen for other members."},
    {kMember, "listen-client-urls", kText, kUsed, "http://localhost:2379", "Where to listen for clients: gRPC and HTTP on one port."},
    {kMember, "listen-client-http-urls", kText, kRefused, "", "HTTP and gRPC share --listen-client-urls"},
    {kMember, "max-snapshots", kNumber, kNone, "5", "snapshots are kept only while they are being sent"},
    {kMember, "max-wals", kNumber, kNone, "5", "log segments are reused as soon as they are not needed"},
    {kMember, "quota-backend-bytes", kNumber, kUsed, "0", "Bytes the store may take before writes stop with a NOSPACE alarm; 0: as the disk allows."},
    {kMember, "backend-bbolt-freelist-type", kText, kNone, "map", kNoBolt},
    {kMember, "backend-batch-interval", kDuration, kNone, "", kNoBolt},
    {kMember, "backend-batch-limit", kNumber, kNone, "0", kNoBolt},
    {kMember, "max-txn-ops", kNumber, kUsed, "128", "Operations allowed in one transaction."},
    {kMember, "max-request-bytes", kNumber, kUsed, "1572864", "Bytes allowed in one request."},
    {kMember, "max-concurrent-streams", kNumber, kUsed, "4294967295", "Streams that one client connection may have open."},
    {kMember, "enable-grpc-gateway", kBool, kUsed, "true", "Serve the API as JSON under /v3/, too."},
    {kMember, "grpc-keepalive-min-time", kDuration, kNone, "5s", "pings of clients are answered at any rate that is no flood"},
    {kMember, "grpc-keepalive-interval", kDuration, kNone, "2h", "the server sends no pings of its own"},
    {kMember, "grpc-keepalive-timeout", kDuration, kNone, "20s", "the server sends no pings of its own"},
    {kMember, "socket-reuse-port", kBool, kNone, "false", "the port is not shared"},
    {kMember, "socket-reuse-address", kBool, kNone, "false", "always on"},
    {kMember, "raft-read-timeout", kDuration, kNone, "5s", "the transport has limits of its own"},
    {kMember, "raft-write-timeout", kDuration, kNone, "5s", "the transport has limits of its own"},
    {kMember, "config-file", kText, kUsed, "", "A YAML file with etcd's keys; all other flags and variables are then ignored."},

    {kClustering, "initial-advertise-peer-urls", kText, kUsed, "http://localhost:2380", "This member's peer URLs as the others reach them."},
    {kClustering, "initial-cluster", kText, kUsed, "${name}=${initial-advertise-peer-urls}", "All members on first start: name=URL,name=URL."},
    {kClustering, "initial-cluster-state", kText, kUsed, "new", "'new', or 'existing' to join a cluster that runs; first start only."},
    {kClustering, "initial-cluster-token", kText, kUsed, "etcd-cluster", "Keeps clusters with equal URLs apart; first start only."},
    {kClustering, "advertise-client-urls", kText, kUsed, "http://localhost:2379", "This member's client URLs as clients reach them."},
    {kClustering, "discovery", kText, kRefused, "", kNoDiscovery},
    {kClustering, "discovery-fallback", kText, kNone, "exit", kNoDiscovery},
    {kClustering, "discovery-proxy", kText, kRefused, "", kNoDiscovery},
    {kClustering, "discovery-srv", kText, kRefused, "", kNoDiscovery},
    {kClustering, "discovery-srv-name", kText, kRefused, "", kNoDiscovery},
    {kClustering, "discovery-token", kText, kRefused, "", kNoDiscovery},
    {kClustering, "discovery-endpoints", kText, kRefused, "", kNoDiscovery},
    {kClustering, "discovery-dial-timeout", kDuration, kNone, "2s", kNoDiscovery},
    {kClustering, "discovery-request-timeout", kDuration, kNone, "5s", kNoDiscovery},
    {kClustering, "discovery-keepalive-time", kDuration, kNone, "2s", kNoDiscovery},
    {kClustering, "discovery-keepalive-timeout", kDuration, kNone, "6s", kNoDiscovery},
    {kClustering, "discovery-insecure-transport", kBool, kNone, "true", kNoDiscovery},
    {kClustering, "discovery-insecure-skip-tls-verify", kBool, kNone, "false", kNoDiscovery},
    {kClustering, "discovery-cert", kText, kNone, "", kNoDiscovery},
    {kClustering, "discovery-key", kText, kNone, "", kNoDiscovery},
    {kClustering, "discovery-cacert", kText, kNone, "", kNoDiscovery},
    {kClustering, "discovery-user", kText, kNone, "", kNoDiscovery},
    {kClustering, "discovery-password", kText, kNone, "", kNoDiscovery},
    {kClustering, "strict-reconfig-check", kBool, kUsed, "true", "Refuse changes of membership that would lose the majority."},
    {kClustering, "pre-vote", kBool, kNone, "true", "always on"},
    {kClustering, "auto-compaction-retention", kText, kUsed, "0", "History to keep: a duration or a number of revisions; 0: all."},
    {kClustering, "auto-compaction-mode", kText, kUsed, "periodic", "'periodic' (by time) or 'revision' (by number)."},
    {kClustering, "enable-v2", kBool, kNone, "false", kNoV2},
    {kClustering, "v2-deprecation", kText, kNone, "write-only", kNoV2},
    {kClustering, "downgrade-check-time", kDuration, kNone, "5s", "there is no version to go down to"},

    {kSecurity, "cert-file", kText, kUsed, "", "The certificate shown to clients, for https:// URLs; PEM, with the chain."},
    {kSecurity, "key-file", kText, kUsed, "", "Its key."},
    {kSecurity, "client-cert-auth", kBool, kUsed, "false", "Clients must show a certificate that --trusted-ca-file vouches for."},
    {kSecurity, "client-cert-file", kText, kNone, "", "the JSON gateway calls within the process and shows no certificate"},
    {kSecurity, "client-key-file", kText, kNone, "", "the JSON gateway calls within the process and shows no certificate"},
    {kSecurity, "client-crl-file", kText, kUsed, "", "Revoked certificates of clients."},
    {kSecurity, "client-cert-allowed-hostname", kText, kUsed, "", "Clients' certificates must be for one of these names, comma-separated."},
    {kSecurity, "trusted-ca-file", kText, kUsed, "", "Whose client certificates to trust. Given, clients must show one."},
    {kSecurity, "auto-tls", kBool, kUsed, "false", "Make a self-signed certificate for clients' https:// URLs."},
    {kSecurity, "peer-cert-file", kText, kUsed, "", "The certificate shown to other members, for https:// URLs."},
    {kSecurity, "peer-key-file", kText, kUsed, "", "Its key."},
    {kSecurity, "peer-client-cert-auth", kBool, kUsed, "false", "Members must show a certificate that --peer-trusted-ca-file vouches for."},
    {kSecurity, "peer-client-cert-file", kText, kUsed, "", "A certificate of its own for connections to other members."},
    {kSecurity, "peer-client-key-file", kText, kUsed, "", "Its key."},
    {kSecurity, "peer-trusted-ca-file", kText, kUsed, "", "Whose certificates of members to trust. Given, members must show one."},
    {kSecurity, "peer-cert-allowed-cn", kText, kUsed, "", "Members' certificates must have one of these common names, comma-separated."},
    {kSecurity, "peer-cert-allowed-hostname", kText, kUsed, "", "Members' certificates must be for one of these names, comma-separated."},
    {kSecurity, "peer-auto-tls", kBool, kUsed, "false", "Make a self-signed certificate for the peers' https:// URLs."},
    {kSecurity, "peer-crl-file", kText, kUsed, "", "Revoked certificates of members."},
    {kSecurity, "self-signed-cert-validity", kNumber, kUsed, "1", "Years that a self-signed certificate is valid."},
    {kSecurity, "cipher-suites", kText, kUsed, "", "Cipher suites of TLS 1.2, by their IANA names, comma-separated."},
    {kSecurity, "tls-min-version", kText, kUsed, "TLS1.2", "TLS1.2 or TLS1.3."},
    {kSecurity, "tls-max-version", kText, kUsed, "", "TLS1.2 or TLS1.3; empty: the newest."},
    {kSecurity, "cors", kText, kRefused, "*", "origins are not checked: any page may call the JSON gateway, as by default in etcd"},
    {kSecurity, "host-whitelist", kText, kRefused, "*", "host names of requests are not checked"},

    {kAuth, "auth-token", kText, kUsed, "simple", "Tokens that users get for a password: simple, or jwt,sign-method=...,priv-key=FILE,..."},
    {kAuth, "bcrypt-cost", kNumber, kUsed, "10", "Cost of hashing passwords, 4 to 31: each step doubles it."},
    {kAuth, "auth-token-ttl", kNumber, kUsed, "300", "Seconds after which a simple token that is not used expires."},

    {kMonitoring, "enable-pprof", kBool, kNone, "false", "use perf or gdb"},
    {kMonitoring, "metrics", kText, kNone, "basic", "/metrics always carries everything"},
    {kMonitoring, "listen-metrics-urls", kText, kUsed, "", "Further URLs for /metrics and /health."},
    {kMonitoring, "enable-distributed-tracing", kBool, kNone, "false", kNoTracing},
    {kMonitoring, "distributed-tracing-address", kText, kNone, "localhost:4317", kNoTracing},
    {kMonitoring, "distributed-tracing-service-name", kText, kNone, "etcd", kNoTracing},
    {kMonitoring, "distributed-tracing-instance-id", kText, kNone, "", kNoTracing},
    {kMonitoring, "distributed-tracing-sampling-rate", kNumber, kNone, "0", kNoTracing},
    {kMonitoring, "experimental-enable-distributed-tracing", kBool, kNone, "false", kNoTracing},
    {kMonitoring, "experimental-distributed-tracing-address", kText, kNone, "localhost:4317", kNoTracing},
    {kMonitoring, "experimental-distributed-tracing-service-name", kText, kNone, "etcd", kNoTracing},
    {kMonitoring, "experimental-distributed-tracing-instance-id", kText, kNone, "", kNoTracing},
    {kMonitoring, "experimental-distributed-tracing-sampling-rate", kNumber, kNone, "0", kNoTracing},

    {kLogging, "logger", kText, kNone, "zap", "there is one logger; --log-format has its forms"},
    {kLogging, "log-format", kText, kUsed, "console", "console: text lines with key=value; json: a JSON object a line, as etcd's logger writes."},
    {kLogging, "log-outputs", kText, kUsed, "default", "'stderr' (the default), 'stdout' or file names, comma-separated."},
    {kLogging, "log-level", kText, kUsed, "info", "debug, info, warn, error, panic or fatal."},
    {kLogging, "debug", kBool, kUsed, "false", "The same as --log-level=debug."},
    {kLogging, "log-package-levels", kText, kNone, "", "there is one level"},
    {kLogging, "disable-log-sampling", kBool, kNone, "false", "no line is left out"},
    {kLogging, "enable-log-rotation", kBool, kNone, "false", "logs are not rotated; use logrotate"},
    {kLogging, "log-rotation-config-json", kText, kNone, "", "logs are not rotated; use logrotate"},

    {kProxy, "proxy", kText, kRefused, "off", kNoProxy},
    {kProxy, "proxy-failure-wait", kNumber, kNone, "5000", kNoProxy},
    {kProxy, "proxy-refresh-interval", kNumber, kNone, "30000", kNoProxy},
    {kProxy, "proxy-dial-timeout", kNumber, kNone, "1000", kNoProxy},
    {kProxy, "proxy-write-timeout", kNumber, kNone, "5000", kNoProxy},
    {kProxy, "proxy-read-timeout", kNumber, kNone, "0", kNoProxy},

    {kFeature, "watch-progress-notify-interval", kDuration, kUsed, "10m", "How often an idle watcher that asked for it hears of progress."},
    {kFeature, "experimental-watch-progress-notify-interval", kDuration, kUsed, "10m", "Former name of --watch-progress-notify-interval."},
    {kFeature, "snapshot-catchup-entries", kNumber, kUsed, "5000", "Log entries kept for slow followers beyond a truncation."},
    {kFeature, "experimental-snapshot-catchup-entries", kNumber, kUsed, "5000", "Former name of --snapshot-catchup-entries."},
    {kFeature, "experimental-io-threads", kNumber, kUsed, "1", "Threads that serve client connections."},
    {kFeature, "experimental-disk-reserve-bytes", kNumber, kUsed, "67108864", "Free bytes on the disk below which writes stop with a NOSPACE alarm."},
    {kFeature, "feature-gates", kText, kUsed, "", "Features switched on or off: InitialCorruptCheck=true,CompactHashCheck=true."},
    {kFeature, "initial-corrupt-check", kBool, kUsed, "false", "The same as --feature-gates=InitialCorruptCheck: compare the data with the other members' before serving."},
    {kFeature, "corrupt-check-time", kDuration, kUsed, "0s", "How often the leader compares the members' data, and raises CORRUPT for the odd one; 0: never."},
    {kFeature, "compact-hash-check-time", kDuration, kUsed, "1m", "With --feature-gates=CompactHashCheck: how often the leader compares at the newest compacted revision."},
    {kFeature, "experimental-initial-corrupt-check", kBool, kUsed, "false", "Former name of --feature-gates=InitialCorruptCheck."},
    {kFeature, "experimental-corrupt-check-time", kDuration, kUsed, "0s", "Former name of --corrupt-check-time."},
    {kFeature, "experimental-compact-hash-check-enabled", kBool, kUsed, "false", "Former name of --feature-gates=CompactHashCheck."},
    {kFeature, "experimental-compact-hash-check-time", kDuration, kUsed, "1m", "Former name of --compact-hash-check-time."},
    {kFeature, "experimental-enable-v2v3", kText, kNone, "", kNoV2},
    {kFeature, "experimental-backend-bbolt-freelist-type", kText, kNone, "map", kNoBolt},
    {kFeature, "experimental-enable-lease-checkpoint", kBool, kNone, "false", "always on"},
    {kFeature, "experimental-enable-lease-checkpoint-persist", kBool, kNone, "false", "always on"},
    {kFeature, "compaction-batch-limit", kNumber, kNone, "1000", "compaction needs no batches"},
    {kFeature, "compaction-sleep-interval", kDuration, kNone, "10ms", "compaction needs no pauses"},
    {kFeature, "experimental-compaction-batch-limit", kNumber, kNone, "1000", "compaction needs no batches"},
    {kFeature, "experimental-compaction-sleep-interval", kDuration, kNone, "10ms", "compaction needs no pauses"},
    {kFeature, "peer-skip-client-san-verification", kBool, kUsed, "false", "Do not compare the names and addresses in a member's certificate with where it calls from."},
    {kFeature, "experimental-peer-skip-client-san-verification", kBool, kUsed, "false", "Former name of --peer-skip-client-san-verification."},
    {kFeature, "experimental-downgrade-check-time", kDuration, kNone, "5s", "there is no version to go down to"},
    {kFeature, "memory-mlock", kBool, kNone, "false", "memory is not locked"},
    {kFeature, "experimental-memory-mlock", kBool, kNone, "false", "memory is not locked"},
    {kFeature, "warning-apply-duration", kDuration, kNone, "100ms", "slow requests show in /metrics"},
    {kFeature, "experimental-warning-apply-duration", kDuration, kNone, "100ms", "slow requests show in /metrics"},
    {kFeature, "warning-unary-request-duration", kDuration, kNone, "300ms", "slow requests show in /metrics"},
    {kFeature, "experimental-warning-unary-request-duration", kDuration, kNone, "300ms", "slow requests show in /metrics"},
    {kFeature, "experimental-txn-mode-write-with-shared-buffer", kBool, kNone, "true", kNoBolt},
    {kFeature, "bootstrap-defrag-threshold-megabytes", kNumber, kNone, "0", kNoBolt},
    {kFeature, "experimental-bootstrap-defrag-threshold-megabytes", kNumber, kNone, "0", kNoBolt},
    {kFeature, "experimental-stop-grpc-service-on-defrag", kBool, kNone, "false", "defragmentation does not stop the store"},
    {kFeature, "experimental-set-member-localaddr", kBool, kNone, "false", "the system chooses the local address"},
    {kFeature, "experimental-wait-cluster-ready-timeout", kDuration, kNone, "5s", "requests wait for a leader by themselves"},
    {kFeature, "max-learners", kNumber, kUsed, "1", "Learners allowed in the cluster at a time."},
    {kFeature, "experimental-max-learners", kNumber, kUsed, "1", "Former name of --max-learners."},

    {kUnsafe, "force-new-cluster", kBool, kUsed, "false", "Make this member the only one of its cluster, and keep its data; the others count as removed."},
    {kUnsafe, "unsafe-no-fsync", kBool, kRefused, "false", "every acknowledged write is on disk; there is no way to switch that off"},
});
// clang-format on

}  // namespace

std::span<const FlagSpec> AllFlags() { return kFlags; }

}  // namespace keel::kvstore
