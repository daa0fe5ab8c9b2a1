#include "kvstore/client/concurrency.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/strings.h"
#include "kvstore/client/requests.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;

namespace {

// The oldest (or youngest) key of the queue.
pb::RangeRequest OneOf(std::string_view prefix, SortOrder order) {
  return MakeGet(prefix, {.range_end = PrefixEnd(prefix),
                          .limit = 1,
                          .sort_order = order,
                          .sort_target = pb::RangeRequest::CREATE});
}

pb::WatchCreateRequest WatchFrom(std::string_view key, std::string range_end, int64_t revision) {
  pb::WatchCreateRequest request;
  request.set_key(std::string(key));
  request.set_range_end(std::move(range_end));
  request.set_start_revision(revision);
  return request;
}

}  // namespace

std::string CampaignPrefix(std::string_view name) { return base::StrCat(name, "/"); }

absl::Status ErrElectionNotLeader() { return absl::UnknownError("election: not leader"); }
absl::Status ErrElectionNoLeader() { return absl::UnknownError("election: no leader"); }
absl::Status ErrSessionExpired() { return absl::UnknownError("mutex: session is expired"); }

Campaign::Campaign(std::shared_ptr<ConcurrencyStore> store, std::string_view name, int64_t lease,
                   std::string value)
    : store_(std::move(store)),
      prefix_(CampaignPrefix(name)),
      key_(prefix_ + absl::StrFormat("%x", lease)),
      value_(std::move(value)),
      lease_(lease) {}

void Campaign::Start(Won won) {
  KEEL_CHECK(won_ == nullptr && place_.revision == 0);
  won_ = std::move(won);
  store_->Txn(TxnBuilder()
                  .If(CreateRevisionIs(key_, '=', 0))
                  .Then(MakePut(key_, value_, {.lease = lease_}))
                  .Else(MakeGet(key_))
                  .request(),
              [self = shared_from_this()](absl::StatusOr<pb::TxnResponse> entered) {
                self->OnEntered(std::move(entered));
              });
}

void Campaign::OnEntered(absl::StatusOr<pb::TxnResponse> entered) {
  if (!entered.ok()) return End(entered.status());
  place_.key = key_;
  place_.header = entered->header();
  place_.revision = entered->header().revision();
  if (entered->succeeded()) return cancelled_ ? Cancel() : Wait();

  // This lease is in the queue already.
  if (entered->responses_size() != 1 || entered->responses(0).response_range().kvs_size() != 1) {
    return End(absl::InternalError("a transaction found a key that is there and is not"));
  }
  const mvccpb::KeyValue& there = entered->responses(0).response_range().kvs(0);
  place_.revision = there.create_revision();
  if (cancelled_) return Cancel();
  if (there.value() == value_) return Wait();
  Proclaim(*store_, key_, place_.revision, lease_, value_,
           [self = shared_from_this()](absl::StatusOr<pb::TxnResponse> proclaimed) {
             if (!proclaimed.ok()) return self->End(proclaimed.status());
             if (!self->cancelled_) self->Wait();
           });
}

void Campaign::Wait() {
  pb::RangeRequest before = OneOf(prefix_, pb::RangeRequest::DESCEND);
  before.set_max_create_revision(place_.revision - 1);
  store_->Range(before, [self = shared_from_this()](absl::StatusOr<pb::RangeResponse> found) {
    self->OnBefore(std::move(found));
  });
}

void Campaign::OnBefore(absl::StatusOr<pb::RangeResponse> before) {
  if (cancelled_) return;
  if (!before.ok()) return End(before.status());
  if (before->kvs().empty()) {
    if (waited_) return CheckStillIn();
    return End(place_);
  }
  waited_ = true;
  watching_ = store_->Watch(WatchFrom(before->kvs(0).key(), "", before->header().revision() + 1),
                            {.on_response =
                                 [weak = weak_from_this()](const pb::WatchResponse& response) {
                                   const auto self = weak.lock();
                                   if (self == nullptr || self->cancelled_) return;
                                   for (const mvccpb::Event& event : response.events()) {
                                     if (event.type() != mvccpb::Event::DELETE) continue;
                                     self->watching_.reset();
                                     return self->Wait();
                                   }
                                 },
                             .on_end =
                                 [weak = weak_from_this()](absl::Status status) {
                                   if (const auto self = weak.lock()) self->End(std::move(status));
                                 }});
}

// While it waited its own lease may have ended.
void Campaign::CheckStillIn() {
  store_->Range(MakeGet(key_), [self = shared_from_this()](absl::StatusOr<pb::RangeResponse> own) {
    if (self->cancelled_) return;
    if (!own.ok()) return self->End(own.status());
    if (own->kvs().empty() || own->kvs(0).create_revision() != self->place_.revision) {
      return self->End(ErrSessionExpired());
    }
    self->place_.header = own->header();
    self->End(self->place_);
  });
}

void Campaign::End(absl::StatusOr<Place> result) {
  watching_.reset();
  if (cancelled_) return;
  // Nobody waits for a place whose owner was told that it has none.
  const bool leaves = !result.ok() && place_.revision != 0;
  if (Won won = std::exchange(won_, nullptr)) won(std::move(result));
  if (leaves) Cancel();
}

void Campaign::Cancel() {
  cancelled_ = true;
  won_ = nullptr;
  watching_.reset();
  if (place_.revision == 0) return;  // OnEntered comes back here
  Resign(*store_, key_, place_.revision, [](const absl::StatusOr<pb::TxnResponse>&) {});
}

void FindLeader(ConcurrencyStore& store, std::string_view name,
                ConcurrencyStore::Done<pb::RangeResponse> done) {
  store.Range(OneOf(CampaignPrefix(name), pb::RangeRequest::ASCEND),
              [done = std::move(done)](absl::StatusOr<pb::RangeResponse> found) mutable {
                if (found.ok() && found->kvs().empty()) found = ErrElectionNoLeader();
                done(std::move(found));
              });
}

void Proclaim(ConcurrencyStore& store, std::string_view key, int64_t revision, int64_t lease,
              std::string_view value, ConcurrencyStore::Done<pb::TxnResponse> done) {
  store.Txn(TxnBuilder()
                .If(CreateRevisionIs(key, '=', revision))
                .Then(MakePut(key, value, {.lease = lease}))
                .request(),
            [done = std::move(done)](absl::StatusOr<pb::TxnResponse> proclaimed) mutable {
              if (proclaimed.ok() && !proclaimed->succeeded()) proclaimed = ErrElectionNotLeader();
              done(std::move(proclaimed));
            });
}

void Resign(ConcurrencyStore& store, std::string_view key, int64_t revision,
            ConcurrencyStore::Done<pb::TxnResponse> done) {
  store.Txn(TxnBuilder().If(CreateRevisionIs(key, '=', revision)).Then(MakeDelete(key)).request(),
            std::move(done));
}

Observation::Observation(std::shared_ptr<ConcurrencyStore> store, std::string_view name,
                         Events events)
    : store_(std::move(store)), name_(name), events_(std::move(events)) {}

void Observation::Start() { Look(); }

void Observation::Stop() {
  stopped_ = true;
  watching_.reset();
}

void Observation::Look() {
  const std::string prefix = CampaignPrefix(name_);
  store_->Range(OneOf(prefix, pb::RangeRequest::ASCEND),
                [self = shared_from_this()](absl::StatusOr<pb::RangeResponse> found) {
                  if (self->stopped_) return;
                  if (!found.ok()) return self->End(found.status());
                  if (found->kvs().empty()) {
                    return self->AwaitFirst(found->header().revision() + 1);
                  }
                  self->Tell(found->header(), found->kvs(0), found->header().revision() + 1);
                });
}

void Observation::AwaitFirst(int64_t revision) {
  const std::string prefix = CampaignPrefix(name_);
  pb::WatchCreateRequest request = WatchFrom(prefix, PrefixEnd(prefix), revision);
  request.add_filters(pb::WatchCreateRequest::NODELETE);
  Watch(request, [this](const pb::WatchResponse& response) {
    if (response.events().empty()) return;
    // A copy: what follows ends the watch that owns the response.
    const mvccpb::KeyValue leader = response.events(0).kv();
    Tell(response.header(), leader, leader.mod_revision() + 1);
  });
}

void Observation::Tell(const pb::ResponseHeader& header, const mvccpb::KeyValue& leader,
                       int64_t next_revision) {
  // The caller may stop, and let go, inside on_leader.
  const auto self = shared_from_this();
  events_.on_leader(header, leader);
  if (!stopped_) Follow(leader.key(), next_revision);
}

void Observation::Follow(std::string key, int64_t revision) {
  Watch(WatchFrom(key, "", revision), [this](const pb::WatchResponse& response) {
    const auto self = shared_from_this();
    for (const mvccpb::Event& event : response.events()) {
      if (stopped_) return;
      if (event.type() == mvccpb::Event::DELETE) {
        watching_.reset();
        return Look();
      }
      events_.on_leader(response.header(), event.kv());
    }
  });
}

void Observation::Watch(const pb::WatchCreateRequest& request,
                        std::function<void(const pb::WatchResponse&)> on_response) {
  watching_ =
      store_->Watch(request, {.on_response =
                                  [weak = weak_from_this(), on_response = std::move(on_response)](
                                      const pb::WatchResponse& response) {
                                    const auto self = weak.lock();
                                    if (self != nullptr && !self->stopped_) on_response(response);
                                  },
                              .on_end =
                                  [weak = weak_from_this()](absl::Status status) {
                                    if (const auto self = weak.lock()) self->End(std::move(status));
                                  }});
}

void Observation::End(absl::Status status) {
  if (std::exchange(stopped_, true)) return;
  watching_.reset();
  events_.on_end(std::move(status));
}

}  // namespace keel::kvstore
