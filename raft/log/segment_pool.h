// Makes segments ready ahead of the log's writer: files filled with zeroes and
// synced, or taken over from what truncation freed. Overwriting such a file
// costs an fdatasync no change of metadata, which is what makes it fast.
//
// Runs on a loop of its own so that filling never delays an append. Filling a
// file is cut into steps, so the loop may be shared, with rests between them,
// so that the log's own syncs find the disk free.
//
// Thread-safety: methods may be called from any thread; `ready` runs on the
// loop given for it. Held by shared_ptr: tasks on the loop keep it alive.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file.h"
#include "base/loop.h"

namespace keel::raft {

class SegmentPool : public std::enable_shared_from_this<SegmentPool> {
 public:
  // A ready file in `dir`, with a name that the log does not read.
  using Ready = std::function<void(std::string path, uint64_t bytes)>;

  SegmentPool(base::FileSystem& fs, std::string dir, uint64_t segment_bytes, base::Loop* loop,
              base::Loop* reply_loop);

  // Makes one file ready and calls `ready` on the reply loop. A full disk is
  // logged and tried again every few seconds.
  void Prepare(Ready ready);
  // The writer waits for the file that is being made: no rest until it is ready.
  void Hurry() { hurry_.store(true); }
  // Takes over segments that are no longer part of the log: keeps a few, removes the rest, large
  // ones bit by bit.
  void Recycle(std::vector<std::string> paths);
  // Makes names in the folder durable, then calls `done` on the reply loop.
  void SyncNames(std::function<void(absl::Status)> done);

  // Nothing is called back any more.
  void Stop() { stopped_.store(true); }

  // Creates `path`, filled with zeroes and synced. Blocks.
  static absl::Status Fill(base::FileSystem& fs, const std::string& path, uint64_t bytes);
  // The same, but with the first `content_bytes` of `from` in front of the zeroes.
  // REQUIRES: `from` has so many; content_bytes <= bytes.
  static absl::Status FillBehind(base::FileSystem& fs, const base::File& from,
                                 uint64_t content_bytes, const std::string& path, uint64_t bytes);
  static std::string SparePath(const std::string& dir, uint64_t number);
  // Where a segment is made; what lies there is of no use after a restart.
  static std::string FillPath(const std::string& dir);
  static bool IsPoolFile(const std::string& name);

 private:
  void Start();
  void Step();
  void Failed(absl::Status status);
  void Finished(std::string path, uint64_t bytes);
  // A name in the folder that nothing has.
  std::string FreePath(std::string_view prefix);
  void LetGo(std::deque<std::string> paths);
  void Shrink();

  base::FileSystem& fs_;
  const std::string dir_;
  const uint64_t segment_bytes_;
  base::Loop* const loop_;
  base::Loop* const reply_loop_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> hurry_{false};

  // On loop_ from here on.
  std::vector<std::string> spares_;
  std::deque<std::string> going_;  // files that are being removed, the first one now
  uint64_t next_spare_ = 1;        // for names
  bool listed_ = false;
  std::vector<Ready> waiting_;
  std::unique_ptr<base::File> filling_;  // at filled_ of segment_bytes_
  uint64_t filled_ = 0;
};

}  // namespace keel::raft
