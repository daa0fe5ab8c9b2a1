#include "orchestrator/apiserver/writer.h"

#include <chrono>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/json_arena.h"
#include "orchestrator/apiserver/object_codec.h"

namespace keel::orchestrator {

namespace {

constexpr int kMaxTries = 10;
// How long a refusal that says so is waited out (access.h, kMayPassSoon).
constexpr int kMaxWaits = 10;
constexpr auto kWait = std::chrono::milliseconds(100);

}  // namespace

absl::Status StoreError(const absl::Status& status) {
  const std::string_view message = base::ToStd(status.message());
  if (message.find("request is too large") != std::string_view::npos ||
      status.code() == absl::StatusCode::kResourceExhausted) {
    return TooLarge(base::StrCat("Request entity too large: limit is 1572864 (", message, ")"));
  }
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    return TimedOut("the store did not answer in time");
  }
  return Unavailable(base::StrCat("the store refused: ", message));
}

struct Writer::Attempt {
  WriteTarget target;
  Plan plan;
  Done done;
  std::string key;
  // What the plan is made on.
  CachedObjectPtr before;
  bool from_store = false;
  int tries = 0;
  int waits = 0;
  // What was committed, before encryption.
  std::string stored;
};

void Writer::Write(WriteTarget target, Plan plan, Done done) {
  auto attempt = std::make_shared<Attempt>();
  attempt->key = MakeStoreKey(context_.prefix(), target.resource, target.ns, target.name);
  attempt->before = context_.cache.Resource(target.resource).Find(target.ns, target.name);
  attempt->target = std::move(target);
  attempt->plan = std::move(plan);
  attempt->done = std::move(done);
  Run(std::move(attempt));
}

void Writer::ReadFromStore(std::shared_ptr<Attempt> attempt) {
  context_.store.Range(attempt->key, "", 0, 0, [this, attempt](absl::StatusOr<StorePage> page) {
    if (!page.ok()) return attempt->done(StoreError(page.status()));
    attempt->from_store = true;
    attempt->before = nullptr;
    if (!page->records.empty()) {
      auto object = context_.cache.Decode(page->records[0]);
      if (!object.ok()) return attempt->done(object.status());
      attempt->before = *std::move(object);
    }
    Run(attempt);
  });
}

void Writer::Run(std::shared_ptr<Attempt> attempt) {
  const WriteTarget& target = attempt->target;
  if (target.create && attempt->before != nullptr) {
    if (!attempt->from_store) return ReadFromStore(std::move(attempt));
    return attempt->done(AlreadyExists(target.resource, target.name));
  }
  // What is there and what is made of it: bytes again by the end of this call.
  JsonArena arena;
  std::optional<json::object> before;
  if (attempt->before != nullptr) {
    auto parsed = ParseJson(attempt->before->bytes, arena.storage());
    if (!parsed.ok()) return attempt->done(parsed.status());
    if (!parsed->is_object()) return attempt->done(Internal("the cache holds what is no object"));
    before = std::move(parsed->as_object());
  }
  auto plan = attempt->plan(before.has_value() ? &*before : nullptr);
  if (!plan.ok()) {
    if (!attempt->from_store && !target.create) return ReadFromStore(std::move(attempt));
    if (!attempt->from_store) {
      // What a creation depends on is in the cache: its namespace, its account, its quota.
      attempt->from_store = true;
      return context_.cache.WhenCurrent([this, attempt](absl::Status) { Run(attempt); });
    }
    if (plan.status().GetPayload(kMayPassSoon).has_value() && attempt->waits++ < kMaxWaits) {
      context_.loop.After(kWait, [this, attempt] { Run(attempt); });
      return;
    }
    return attempt->done(plan.status());
  }
  if (plan->what == WritePlan::What::kPut && before.has_value()) {
    const json::value* const revision = Find(*before, {"metadata", "resourceVersion"});
    if (revision != nullptr) *Ensure(plan->object, {"metadata", "resourceVersion"}) = *revision;
    if (plan->object == *before) {
      if (!attempt->from_store) return ReadFromStore(std::move(attempt));
      plan->what = WritePlan::What::kNothing;
    }
  }
  if (plan->what == WritePlan::What::kNothing || target.dry_run) {
    Written written;
    written.unchanged = plan->what == WritePlan::What::kNothing;
    written.created = !before.has_value();
    written.deleted = plan->what == WritePlan::What::kDelete;
    if (plan->what == WritePlan::What::kPut) {
      written.bytes = ToJson(plan->object);
    } else if (attempt->before != nullptr) {
      written.bytes = attempt->before->bytes;
    }
    return attempt->done(std::move(written));
  }
  Commit(std::move(attempt), *std::move(plan));
}

void Writer::Commit(std::shared_ptr<Attempt> attempt, WritePlan plan) {
  StoreTxn txn;
  txn.read = attempt->key;
  txn.compares = std::move(plan.compares);
  txn.ops = std::move(plan.ops);
  txn.compares.push_back(
      {attempt->key, attempt->before == nullptr ? 0 : attempt->before->revision});
  auto stored_as = [this](std::string_view key, std::string plain) -> absl::StatusOr<std::string> {
    const auto parsed = ParseStoreKey(context_.prefix(), key);
    if (context_.transformer == nullptr || !parsed.has_value()) return plain;
    return context_.transformer->ToStore(parsed->resource, key, std::move(plain));
  };
  for (SideWrite& side : plan.side_writes) {
    auto value = stored_as(side.key, std::move(side.value));
    if (!value.ok()) return attempt->done(value.status());
    txn.compares.push_back({side.key, side.mod_revision});
    txn.ops.push_back(StoreOp::Put(side.key, *std::move(value)));
  }
  if (plan.what == WritePlan::What::kDelete) {
    txn.ops.push_back(StoreOp::Delete(attempt->key));
  } else {
    attempt->stored = EncodeForStore(plan.object);
    auto value = stored_as(attempt->key, attempt->stored);
    if (!value.ok()) return attempt->done(value.status());
    txn.ops.push_back(StoreOp::Put(attempt->key, *std::move(value), plan.lease));
  }
  const WritePlan::What what = plan.what;
  context_.store.Commit(std::move(txn), [this, attempt, what](absl::StatusOr<StoreCommit> commit) {
    Committed(attempt, std::move(commit), what);
  });
}

void Writer::Committed(std::shared_ptr<Attempt> attempt, absl::StatusOr<StoreCommit> commit,
                       WritePlan::What what) {
  if (!commit.ok()) return attempt->done(StoreError(commit.status()));
  if (!commit->succeeded) {
    if (++attempt->tries >= kMaxTries) {
      return attempt->done(Conflict(attempt->target.resource, attempt->target.name,
                                    "the object has been modified; please apply your changes to "
                                    "the latest version and try again"));
    }
    attempt->from_store = true;
    attempt->before = nullptr;
    if (!commit->found.empty()) {
      auto object = context_.cache.Decode(commit->found[0]);
      if (!object.ok()) return attempt->done(object.status());
      attempt->before = *std::move(object);
    }
    // The plan looks at the cache as well (quota): let it come as far as what was lost against.
    return context_.cache.WhenAt(commit->revision, [this, attempt](absl::Status) { Run(attempt); });
  }
  Written written;
  written.created = attempt->before == nullptr;
  written.deleted = what == WritePlan::What::kDelete;
  if (written.deleted) {
    written.bytes = ReplaceRevision(attempt->before->bytes, commit->revision);
  } else {
    written.bytes = *WithRevision(attempt->stored, commit->revision);
  }
  attempt->done(std::move(written));
}

}  // namespace keel::orchestrator
