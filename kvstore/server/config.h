// What a server is started with, checked. The program kvd fills it from flags
// and environment; a program that embeds the store fills it directly and calls
// Validate.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/loop.h"
#include "base/tls/options.h"
#include "kvstore/apply/level.h"
#include "kvstore/server/url.h"

namespace keel::kvstore {

enum class AutoCompactionMode : uint8_t { kPeriodic, kRevision };

struct ServerConfig {
  std::string name = "default";
  bool name_given =
      false;  // whether `name` was chosen; a data directory of another name is then refused
  std::string data_dir;  // holds member/; exists once the server has started
  std::string wal_dir;   // empty: inside data_dir

  std::vector<Url> listen_client_urls;
  std::vector<Url> advertise_client_urls;
  std::vector<Url> listen_peer_urls;
  std::vector<Url> initial_advertise_peer_urls;
  std::vector<Url> listen_metrics_urls;  // besides the client ports; may be empty

  // First start only; a restart goes by what is on disk.
  std::map<std::string, std::vector<Url>> initial_cluster;  // by member name
  bool initial_cluster_existing = false;
  std::string initial_cluster_token = "etcd-cluster";
  bool token_given = false;  // as name_given
  bool strict_reconfig_check = true;
  bool grpc_gateway = true;  // the API as JSON under /v3/

  uint64_t heartbeat_ms = 100;
  uint64_t election_ms = 1000;
  bool initial_election_tick_advance = true;

  uint64_t snapshot_count = 10000;
  uint64_t snapshot_catchup_entries = 5000;
  // Bytes that the store may take; writes stop beyond. 0: no ceiling but the disk's.
  int64_t quota_backend_bytes = 0;
  uint64_t max_request_bytes = 1536 * 1024;
  uint64_t max_txn_ops = 128;
  uint32_t max_concurrent_streams = UINT32_MAX;

  AutoCompactionMode auto_compaction_mode = AutoCompactionMode::kPeriodic;
  base::Duration auto_compaction_period{0};  // kPeriodic; 0: off
  int64_t auto_compaction_revisions = 0;     // kRevision; 0: off

  base::Duration watch_progress_interval = std::chrono::minutes(10);
  // Free bytes of the file system below which the member stops taking writes.
  uint64_t disk_reserve_bytes = 64ull << 20;

  uint64_t max_learners = 1;

  std::string auth_token = "simple";                          // or "jwt,pub-key=...": docs/auth.md
  base::Duration auth_token_ttl = std::chrono::seconds(300);  // of simple tokens
  int bcrypt_cost = 10;
  // Passwords are hashed and checked on this many threads of low priority, and refused when more
  // than so many wait.
  size_t password_threads = 1;
  size_t passwords_queued_max = 1000;

  // Members compare their histories (corruption_check.h): before they serve, at intervals (0: not),
  // and at the revisions that were compacted.
  bool initial_corrupt_check = false;
  base::Duration corrupt_check_interval{0};
  bool compact_hash_check = false;
  base::Duration compact_hash_check_interval = std::chrono::minutes(1);
  // Become the only member of the cluster, and keep what is in the data directory.
  bool force_new_cluster = false;

  Levels levels;             // of a program for tests, else this one's
  std::string more_metrics;  // lines that /metrics carries besides

  std::string log_level = "info";
  std::vector<std::string> log_outputs = {"default"};
  uint32_t io_threads = 1;

  // TLS of the https:// URLs, of clients and peers. `auto_*`: certificates that sign themselves are
  // made in data_dir/fixtures where no file is given.
  base::TlsOptions client_tls;
  base::TlsOptions peer_tls;
  // A member's certificate need not be for the address that it calls from.
  bool peer_skip_client_san_verification = false;
  // What this member shows to other members instead of peer_tls's certificate; may be empty.
  std::string peer_client_cert_file;
  std::string peer_client_key_file;
  bool auto_tls = false;
  bool peer_auto_tls = false;
  uint32_t self_signed_cert_validity_years = 1;

  base::Duration heartbeat() const { return std::chrono::milliseconds(heartbeat_ms); }
  base::Duration election() const { return std::chrono::milliseconds(election_ms); }
  // Number of heartbeats in an election timeout.
  uint64_t election_ticks() const { return election_ms / heartbeat_ms; }
  // After this a request that has not been answered fails (etcd: 5 s and twice the election
  // timeout).
  base::Duration request_timeout() const { return std::chrono::seconds(5) + 2 * election(); }

  // Folders inside data_dir.
  std::string member_dir() const { return data_dir + "/member"; }
  std::string store_dir() const { return member_dir() + "/db"; }
  std::string log_dir() const { return wal_dir.empty() ? member_dir() + "/wal" : wal_dir; }
  std::string snapshot_dir() const { return member_dir() + "/snap"; }

  // The rules of etcd. InvalidArgument, naming the flag.
  absl::Status Validate() const;
};

// "a=http://x:2380,b=http://y:2380,b=http://z:2380": members with one or more peer URLs.
absl::StatusOr<std::map<std::string, std::vector<Url>>> ParseInitialCluster(std::string_view text);

}  // namespace keel::kvstore
