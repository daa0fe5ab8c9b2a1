// What a node alone and a host of many groups open alike (internal to
// raft/driver): options' defaults, the log's place and threads, folders.
#pragma once

#include <memory>
#include <random>
#include <string>

#include "base/asio_loop.h"
#include "base/file.h"
#include "base/status.h"
#include "raft/log/options.h"

namespace keel::raft {

// The loops that wait for the log's disk: the one given, or two threads of its own.
class LogLoops {
 public:
  explicit LogLoops(base::Loop* given) : given_(given) {}

  // Before the log is opened.
  void Create() {
    if (given_ != nullptr) return;
    write_ = std::make_unique<base::AsioLoop>("raft-log");
    fill_ = std::make_unique<base::AsioLoop>("raft-log-fill");
  }
  base::Loop* write() const { return given_ != nullptr ? given_ : write_.get(); }
  base::Loop* fill() const { return given_ != nullptr ? given_ : fill_.get(); }
  void Start() {
    if (write_) write_->Start();
    if (fill_) fill_->Start();
  }
  // Not on one of them.
  void Stop() {
    if (write_) write_->Stop();
    if (fill_) fill_->Stop();
  }

 private:
  base::Loop* const given_;
  std::unique_ptr<base::AsioLoop> write_;
  std::unique_ptr<base::AsioLoop> fill_;
};

// `Options` is NodeOptions or HostOptions.
template <typename Options>
Options WithDefaults(Options options) {
  if (options.fs == nullptr) options.fs = &base::PosixFileSystem();
  if (options.random_seed == 0) options.random_seed = std::random_device{}() | 1ull << 40;
  return options;
}

// All but on_error. What is put into `*log` is good for opening a log at once.
template <typename Options>
void FillLogPlace(const Options& options, const LogLoops& loops, LogPlaceOptions* log) {
  log->dir = options.log_dir;
  log->fs = options.fs;
  log->loop = options.loop;
  log->write_loop = loops.write();
  log->fill_loop = loops.fill();
  log->cluster_id = options.cluster_id;
  log->member_id = options.id;
  log->segment_bytes = options.segment_bytes;
  log->memory_bytes = options.log_memory_bytes;
  log->random = [random = std::mt19937_64(options.random_seed)]() mutable { return random(); };
  log->on_sync = options.on_log_sync;
}

// Drops snapshots that were on their way, in or out.
inline absl::Status EmptyFolder(base::FileSystem& fs, const std::string& dir) {
  if (dir.empty()) return absl::OkStatus();
  KEEL_RETURN_IF_ERROR(fs.RemoveAll(dir));
  return fs.CreateDirs(dir);
}

}  // namespace keel::raft
