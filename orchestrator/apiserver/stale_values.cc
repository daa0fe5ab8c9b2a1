#include "orchestrator/apiserver/stale_values.h"

#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "orchestrator/apiserver/object_codec.h"

namespace keel::orchestrator {

void StaleValues::Rewrite() {
  if (running_ || keys_.empty()) return;
  running_ = true;
  base::Log().info("writes values again that lie under an old key count={}", keys_.size());
  Next();
}

void StaleValues::Next() {
  if (keys_.empty()) {
    running_ = false;
    base::Log().info("wrote values again that lay under an old key count={}", rewritten_);
    return;
  }
  context_.store.Range(keys_.front(), "", 0, 0,
                       [this, alive = alive_](absl::StatusOr<StorePage> page) {
                         if (!*alive) return;
                         const std::string key = std::move(keys_.front());
                         keys_.pop_front();
                         if (page.ok() && !page->records.empty()) {
                           return RewriteOne(page->records[0]);
                         }
                         if (!page.ok()) {
                           base::Log().warn("value not written again key={} reason={}", key,
                                            base::ToStd(page.status().message()));
                         }
                         Next();
                       });
}

void StaleValues::RewriteOne(const StoreRecord& record) {
  const auto key = ParseStoreKey(context_.prefix(), record.key);
  bool stale = false;
  absl::StatusOr<std::string> value = absl::InternalError("a key of another form");
  if (key.has_value()) {
    value = context_.transformer->FromStore(key->resource, record.key, record.value, &stale);
    if (value.ok() && stale) {
      value = context_.transformer->ToStore(key->resource, record.key, *std::move(value));
    }
  }
  if (!value.ok()) {
    base::Log().warn("value not written again key={} reason={}", record.key,
                     base::ToStd(value.status().message()));
  }
  if (!value.ok() || !stale) return Next();
  StoreTxn txn;
  txn.compares.push_back({record.key, record.mod_revision});
  txn.ops.push_back(StoreOp::Put(record.key, *std::move(value)));
  context_.store.Commit(std::move(txn), [this, alive = alive_](absl::StatusOr<StoreCommit> done) {
    if (!*alive) return;
    if (done.ok() && done->succeeded) ++rewritten_;
    Next();
  });
}

}  // namespace keel::orchestrator
