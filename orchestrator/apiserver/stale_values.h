// Writes again what lies in the store under an older encryption key (or none): how keys are
// rotated without anybody touching the secrets.
//
//   cache.SetTransformer(&transformer, [&stale](std::string key) { stale.Note(std::move(key)); });
//
// What the cache found stale when it was loaded is rewritten one value after the other; a value
// that changes meanwhile was written by the current key anyway. Only then, not when events come: of
// two servers with different first keys each would rewrite what the other wrote, for ever.
//
// On the API server's loop only.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "orchestrator/apiserver/context.h"

namespace keel::orchestrator {

class StaleValues {
 public:
  explicit StaleValues(ServerContext& context) : context_(context) {}
  ~StaleValues() { *alive_ = false; }
  StaleValues(const StaleValues&) = delete;
  StaleValues& operator=(const StaleValues&) = delete;

  void Note(std::string key) { keys_.push_back(std::move(key)); }
  // Rewrites all that was noted; returns at once. What fails is logged by its key and left for the
  // next start.
  void Rewrite();

 private:
  void Next();
  void RewriteOne(const StoreRecord& record);

  ServerContext& context_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::deque<std::string> keys_;
  size_t rewritten_ = 0;
  bool running_ = false;
};

}  // namespace keel::orchestrator
