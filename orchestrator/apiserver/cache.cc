#include "orchestrator/apiserver/cache.h"

#include <algorithm>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/json_arena.h"
#include "orchestrator/apiserver/object_codec.h"

namespace keel::orchestrator {

namespace {

// How often a wait asks the watch how far it is: a revision may be none of our keys.
constexpr base::Duration kTick = std::chrono::milliseconds(5);

}  // namespace

Cache::Cache(base::Loop& loop, Store& store, CacheOptions options)
    : loop_(loop), store_(store), options_(std::move(options)) {}

Cache::~Cache() {
  *alive_ = false;
  watch_.reset();
  if (tick_ != 0) loop_.Cancel(tick_);
}

void Cache::Start(absl::AnyInvocable<void()> done) {
  on_started_ = std::move(done);
  LoadPage(options_.prefix + "/", 0);
}

void Cache::LoadPage(std::string from, int64_t revision) {
  store_.Range(from, PrefixEndOf(options_.prefix + "/"), revision, options_.load_page,
               [this, alive = alive_, first = revision == 0](absl::StatusOr<StorePage> page) {
                 if (!*alive) return;
                 if (!page.ok()) return Retry(page.status());
                 if (first) {
                   for (auto& [name, resource] : resources_) resource->Reset(page->revision);
                   parsed_.clear();
                   used_.clear();
                 }
                 for (const StoreRecord& record : page->records) {
                   const auto key = ParseStoreKey(options_.prefix, record.key);
                   if (!key.has_value()) continue;
                   ResourceCache& resource = Resource(key->resource);
                   auto object = Decode(*key, record, resource);
                   if (object.ok()) {
                     resource.Load(*std::move(object));
                   } else {
                     base::Log().error("object left out key={} reason={}", record.key,
                                       base::ToStd(object.status().message()));
                   }
                 }
                 if (page->more && !page->records.empty()) {
                   return LoadPage(page->records.back().key + '\0', page->revision);
                 }
                 Loaded(page->revision);
               });
}

void Cache::Loaded(int64_t revision) {
  failures_ = 0;
  revision_ = revision;
  for (auto& [name, resource] : resources_) resource->StartHistoryAt(revision);
  watch_ = store_.Watch(
      options_.prefix + "/", revision + 1,
      [this](std::vector<StoreEvent> events, int64_t at) { OnEvents(std::move(events), at); },
      [this](absl::Status status) { Retry(status); });
  ready_ = true;
  Advance(revision);
  if (on_started_) std::exchange(on_started_, nullptr)();
}

void Cache::Retry(const absl::Status& status) {
  base::Log().warn("cache loads again reason={}", base::ToStd(status.message()));
  const auto delay = std::chrono::milliseconds(std::min(100 << std::min(failures_++, 6), 5000));
  loop_.After(delay, [this, alive = alive_] {
    if (!*alive) return;
    watch_.reset();
    LoadPage(options_.prefix + "/", 0);
  });
}

ResourceCache& Cache::Resource(std::string_view resource) {
  auto found = resources_.find(base::ToAbsl(resource));
  if (found == resources_.end()) {
    auto fields = options_.fields_of ? options_.fields_of(resource) : std::vector<std::string>();
    auto made = std::make_unique<ResourceCache>(std::string(resource), std::move(fields),
                                                options_.ring_events, options_.ring_bytes);
    made->StartHistoryAt(revision_);
    found = resources_.emplace(std::string(resource), std::move(made)).first;
  }
  return *found->second;
}

absl::StatusOr<CachedObjectPtr> Cache::Decode(const StoreRecord& record) {
  const auto key = ParseStoreKey(options_.prefix, record.key);
  if (!key.has_value()) return Internal("a key of another form");
  return Decode(*key, record, Resource(key->resource));
}

absl::StatusOr<CachedObjectPtr> Cache::Decode(const StoreKey& key, const StoreRecord& record,
                                              ResourceCache& resource) {
  std::string plain;
  std::string_view value = record.value;
  if (options_.transformer != nullptr) {
    bool stale = false;
    KEEL_ASSIGN_OR_RETURN(
        plain, options_.transformer->FromStore(key.resource, record.key, record.value, &stale));
    value = plain;
    if (stale && !ready_ && on_stale_ != nullptr) on_stale_(record.key);
  }
  auto made = std::make_shared<CachedObject>();
  KEEL_ASSIGN_OR_RETURN(made->bytes, WithRevision(value, record.mod_revision));
  // Only for its facts, which are strings.
  JsonArena arena;
  KEEL_ASSIGN_OR_RETURN(const json::value parsed, ParseJson(made->bytes, arena.storage()));
  const json::object* const object = parsed.if_object();
  if (object == nullptr) return Internal("the store holds what is no object");
  made->ns = std::string(key.ns);
  made->name = std::string(key.name);
  made->uid = std::string(StringAt(*object, {"metadata", "uid"}));
  made->create_revision = record.create_revision;
  made->revision = record.mod_revision;
  made->facts =
      ShareFacts(FactsOf(*object, resource.fields()), resource.Find(key.ns, key.name).get());
  return made;
}

void Cache::OnEvents(std::vector<StoreEvent> events, int64_t revision) {
  for (StoreEvent& event : events) Apply(std::move(event));
  Advance(revision);
}

void Cache::Apply(StoreEvent event) {
  const auto key = ParseStoreKey(options_.prefix, event.record.key);
  if (!key.has_value()) return;
  ResourceCache& resource = Resource(key->resource);
  // Before the listeners are told: they may ask for it.
  if (auto parsed = parsed_.find(event.record.key); parsed != parsed_.end()) {
    used_.erase(parsed->second.used);
    parsed_.erase(parsed);
  }
  if (event.deleted) {
    return resource.Delete(key->ns, key->name, event.record.mod_revision);
  }
  auto object = Decode(*key, event.record, resource);
  if (!object.ok()) {
    base::Log().error("object left out key={} reason={}", event.record.key,
                      base::ToStd(object.status().message()));
    return;
  }
  resource.Put(*std::move(object));
}

void Cache::Advance(int64_t revision) {
  revision_ = std::max(revision_, revision);
  while (!waiters_.empty() && waiters_.begin()->first <= revision_) {
    Ready done = std::move(waiters_.begin()->second.done);
    waiters_.erase(waiters_.begin());
    done(absl::OkStatus());
  }
}

void Cache::WhenAt(int64_t revision, Ready done) {
  if (ready_ && revision_ >= revision) return done(absl::OkStatus());
  waiters_.emplace(revision, Waiter{std::move(done), loop_.Now() + options_.wait_limit});
  if (tick_ == 0) tick_ = loop_.After(kTick, [this] { Tick(); });
}

void Cache::Tick() {
  tick_ = 0;
  const base::TimePoint now = loop_.Now();
  std::vector<std::pair<int64_t, Ready>> late;
  for (auto at = waiters_.begin(); at != waiters_.end();) {
    if (at->second.until <= now) {
      late.emplace_back(at->first, std::move(at->second.done));
      at = waiters_.erase(at);
    } else {
      ++at;
    }
  }
  if (!waiters_.empty()) {
    if (watch_ != nullptr) watch_->RequestProgress();
    tick_ = loop_.After(4 * kTick, [this] { Tick(); });
  }
  for (auto& [revision, done] : late) {
    ApiError error = ApiErrorOf(
        TimedOut(base::StrCat("Too large resource version: ", revision, ", current: ", revision_)));
    error.details["causes"] = json::array{json::object{{"reason", "ResourceVersionTooLarge"},
                                                       {"message", "Too large resource version"}}};
    done(error.ToStatus());
  }
}

void Cache::WhenCurrent(Ready done) {
  ask_next_.push_back(std::move(done));
  if (!asking_) AskRevision();
}

void Cache::AskRevision() {
  asking_ = true;
  auto batch = std::make_shared<std::vector<Ready>>(std::exchange(ask_next_, {}));
  store_.Revision([this, alive = alive_, batch](absl::StatusOr<int64_t> revision) {
    if (!*alive) return;
    asking_ = false;
    if (!ask_next_.empty()) AskRevision();
    for (Ready& done : *batch) {
      if (revision.ok()) {
        WhenAt(*revision, std::move(done));
      } else {
        done(Unavailable(
            base::StrCat("the store does not answer: ", base::ToStd(revision.status().message()))));
      }
    }
  });
}

ObjectView::Entry Cache::EntryOf(std::string_view resource, const CachedObjectPtr& object) {
  Entry entry{.object = nullptr,
              .mod_revision = object->revision,
              .key = MakeStoreKey(options_.prefix, resource, object->ns, object->name)};
  auto found = parsed_.find(entry.key);
  if (found != parsed_.end() && found->second.revision == object->revision) {
    used_.splice(used_.begin(), used_, found->second.used);
    entry.object = found->second.object;
    return entry;
  }
  auto parsed = object->Parse();
  entry.object =
      std::make_shared<const json::object>(parsed.ok() ? *std::move(parsed) : json::object());
  if (found != parsed_.end()) {
    found->second.revision = object->revision;
    found->second.object = entry.object;
    return entry;
  }
  used_.push_front(entry.key);
  parsed_.emplace(entry.key, Parsed{object->revision, entry.object, used_.begin()});
  if (parsed_.size() > options_.parsed_objects) {
    parsed_.erase(used_.back());
    used_.pop_back();
  }
  return entry;
}

std::optional<ObjectView::Entry> Cache::Get(std::string_view resource, std::string_view ns,
                                            std::string_view name) {
  const CachedObjectPtr object = Resource(resource).Find(ns, name);
  if (object == nullptr) return std::nullopt;
  return EntryOf(resource, object);
}

std::vector<ObjectView::Entry> Cache::List(std::string_view resource, std::string_view ns) {
  std::vector<Entry> out;
  Resource(resource).ForEach(ns, "", "", [&](const CachedObjectPtr& object) {
    out.push_back(EntryOf(resource, object));
    return true;
  });
  return out;
}

uint64_t Cache::Version(std::string_view resource) { return Resource(resource).version(); }

}  // namespace keel::orchestrator
