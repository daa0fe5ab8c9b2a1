#include "kvstore/client/concurrency.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "kvstore/client/requests.h"

namespace keel::kvstore {
namespace {

namespace pb = etcdserverpb;

// A store in memory that does at once what it is asked, and answers when the test says so, in any
// order: answers and events overtake each other as they do between processes.
class FakeStore final : public ConcurrencyStore {
 public:
  explicit FakeStore(uint64_t seed) : random_(seed) {}

  void Range(const pb::RangeRequest& request, Done<pb::RangeResponse> done) override {
    Later([done = std::move(done), response = Read(request)]() mutable { done(response); });
  }

  void Txn(const pb::TxnRequest& request, Done<pb::TxnResponse> done) override {
    pb::TxnResponse response;
    const pb::Compare& compare = request.compare(0);
    const auto found = keys_.find(compare.key());
    const int64_t created = found == keys_.end() ? 0 : found->second.create_revision();
    response.set_succeeded(created == compare.create_revision());
    for (const pb::RequestOp& op : response.succeeded() ? request.success() : request.failure()) {
      if (op.has_request_put()) {
        if (dead_leases_.contains(op.request_put().lease())) {
          return Later([done = std::move(done)]() mutable {
            done(absl::NotFoundError("etcdserver: requested lease not found"));
          });
        }
        Put(op.request_put());
        response.add_responses()->mutable_response_put();
      } else if (op.has_request_range()) {
        *response.add_responses()->mutable_response_range() = Read(op.request_range());
      } else {
        Delete(op.request_delete_range().key());
        response.add_responses()->mutable_response_delete_range();
      }
    }
    response.mutable_header()->set_revision(revision_);
    Later([done = std::move(done), response = std::move(response)]() mutable { done(response); });
  }

  std::unique_ptr<Watching> Watch(const pb::WatchCreateRequest& request,
                                  WatchEvents events) override {
    auto watch = std::make_unique<FakeWatch>();
    watch->state->key = request.key();
    watch->state->end = request.range_end();
    watch->state->puts_only = request.filters_size() > 0;
    watch->state->next = request.start_revision();
    watch->state->events = std::move(events);
    watches_.push_back(watch->state);
    return watch;
  }

  void EndLease(int64_t lease) {
    dead_leases_[lease] = true;
    std::vector<std::string> gone;
    for (const auto& [key, record] : keys_) {
      if (record.lease() == lease) gone.push_back(key);
    }
    for (const std::string& key : gone) Delete(key);
  }

  // One answer, or one event of one watch. False when there is none.
  bool Step() {
    std::vector<std::shared_ptr<WatchState>> behind;
    std::erase_if(watches_, [](const auto& watch) { return watch->over; });
    for (const auto& watch : watches_) {
      if (NextEvent(*watch)) behind.push_back(watch);
    }
    const size_t choices = answers_.size() + behind.size();
    if (choices == 0) return false;
    size_t choice = random_() % choices;
    if (choice < answers_.size()) {
      std::swap(answers_[choice], answers_.back());
      auto answer = std::move(answers_.back());
      answers_.pop_back();
      answer();
      return true;
    }
    const auto watch = behind[choice - answers_.size()];
    pb::WatchResponse response;
    const auto& [revision, event] = *NextEvent(*watch);
    *response.add_events() = event;
    response.mutable_header()->set_revision(revision);
    watch->next = revision + 1;
    watch->events.on_response(response);
    return true;
  }
  void Settle() {
    while (Step()) {
    }
  }

  const std::map<std::string, mvccpb::KeyValue>& keys() const { return keys_; }

 private:
  struct WatchState {
    std::string key, end;
    bool puts_only = false;
    int64_t next = 0;
    WatchEvents events;
    bool over = false;
  };
  struct FakeWatch final : Watching {
    ~FakeWatch() override { state->over = true; }
    const std::shared_ptr<WatchState> state = std::make_shared<WatchState>();
  };

  void Later(absl::AnyInvocable<void()> answer) { answers_.push_back(std::move(answer)); }

  const std::pair<int64_t, mvccpb::Event>* NextEvent(const WatchState& watch) const {
    for (const auto& event : history_) {
      const std::string& key = event.second.kv().key();
      const bool in = watch.end.empty() ? key == watch.key : key >= watch.key && key < watch.end;
      const bool wanted = !watch.puts_only || event.second.type() == mvccpb::Event::PUT;
      if (in && wanted && event.first >= watch.next) return &event;
    }
    return nullptr;
  }

  void Record(mvccpb::Event::EventType type, const mvccpb::KeyValue& record) {
    mvccpb::Event event;
    event.set_type(type);
    *event.mutable_kv() = record;
    history_.emplace_back(revision_, event);
  }
  void Put(const pb::PutRequest& put) {
    ++revision_;
    mvccpb::KeyValue& record = keys_[put.key()];
    record.set_key(put.key());
    record.set_value(put.value());
    record.set_lease(put.lease());
    if (record.create_revision() == 0) record.set_create_revision(revision_);
    record.set_mod_revision(revision_);
    Record(mvccpb::Event::PUT, record);
  }
  void Delete(const std::string& key) {
    if (keys_.erase(key) == 0) return;
    ++revision_;
    mvccpb::KeyValue record;
    record.set_key(key);
    record.set_mod_revision(revision_);
    Record(mvccpb::Event::DELETE, record);
  }
  pb::RangeResponse Read(const pb::RangeRequest& request) const {
    pb::RangeResponse response;
    response.mutable_header()->set_revision(revision_);
    const mvccpb::KeyValue* best = nullptr;
    const bool youngest = request.sort_order() == pb::RangeRequest::DESCEND;
    for (const auto& [key, record] : keys_) {
      const bool in = request.range_end().empty()
                          ? key == request.key()
                          : key >= request.key() && key < request.range_end();
      const bool old_enough = request.max_create_revision() == 0 ||
                              record.create_revision() <= request.max_create_revision();
      if (!in || !old_enough) continue;
      if (best == nullptr || (record.create_revision() > best->create_revision()) == youngest) {
        best = &record;
      }
    }
    if (best != nullptr) *response.add_kvs() = *best;
    return response;
  }

  std::mt19937_64 random_;
  int64_t revision_ = 1;
  std::map<std::string, mvccpb::KeyValue> keys_;
  std::map<int64_t, bool> dead_leases_;
  std::vector<std::pair<int64_t, mvccpb::Event>> history_;
  std::vector<absl::AnyInvocable<void()>> answers_;
  std::vector<std::shared_ptr<WatchState>> watches_;
};

struct Contender {
  int64_t lease = 0;
  std::shared_ptr<Campaign> campaign;
  std::optional<absl::StatusOr<Place>> won;
  bool left = false;
};

std::shared_ptr<Contender> Enter(const std::shared_ptr<FakeStore>& store, int64_t lease,
                                 std::string value = "") {
  auto contender = std::make_shared<Contender>();
  contender->lease = lease;
  contender->campaign = std::make_shared<Campaign>(store, "lock", lease, std::move(value));
  contender->campaign->Start([contender = contender.get()](absl::StatusOr<Place> won) {
    EXPECT_FALSE(contender->won.has_value());
    contender->won = std::move(won);
  });
  return contender;
}

// Whoever is in the queue gives up, loses its lease or finishes at any time: never do two hold
// the lock at once by what the store says, tokens only grow, and in the end everybody was served.
TEST(CampaignTest, OneAtATimeInOrder) {
  int served = 0, expired = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    auto store = std::make_shared<FakeStore>(seed);
    std::vector<std::shared_ptr<Contender>> all;
    int64_t last_token = 0;
    const auto look = [&] {
      int holders = 0;
      for (auto& one : all) {
        if (!one->won.has_value() || one->left) continue;
        if (!one->won->ok()) {
          EXPECT_EQ(one->won->status().message(), ErrSessionExpired().message());
          one->left = true;
          ++expired;
          continue;
        }
        const Place& place = **one->won;
        const auto found = store->keys().find(place.key);
        if (found == store->keys().end()) continue;  // its lease ended: it holds nothing
        ++holders;
        EXPECT_EQ(found->second.create_revision(), place.revision);
        EXPECT_GE(place.revision, last_token);
        last_token = place.revision;
      }
      EXPECT_LE(holders, 1);
    };
    for (int64_t lease = 1; lease <= 8; ++lease) {
      all.push_back(Enter(store, lease));
      for (uint64_t n = random() % 6; n > 0; --n) store->Step();
      look();
    }
    for (int round = 0; round < 200; ++round) {
      for (uint64_t n = random() % 4; n > 0; --n) store->Step();
      look();
      Contender& one = *all[random() % all.size()];
      if (one.left) continue;
      const bool holds = one.won.has_value() && one.won->ok();
      if (random() % 8 == 0) {
        store->EndLease(one.lease);
        if (holds) one.left = true;
      } else if (holds || random() % 20 == 0) {
        served += holds ? 1 : 0;
        one.campaign->Cancel();
        one.left = true;
      }
    }
    store->Settle();
    for (auto& one : all) {
      look();
      if (!one->left && one->won.has_value() && one->won->ok()) one->campaign->Cancel();
      if (one->won.has_value()) one->left = true;
      store->Settle();
    }
    for (auto& one : all) EXPECT_TRUE(one->left || one->won.has_value());
    EXPECT_TRUE(store->keys().empty());
  }
  EXPECT_GT(served, 300);
  EXPECT_GT(expired, 100);
}

TEST(CampaignTest, ALeaseThatIsGoneIsRefused) {
  auto store = std::make_shared<FakeStore>(1);
  store->EndLease(5);
  const auto contender = Enter(store, 5);
  store->Settle();
  ASSERT_TRUE(contender->won.has_value());
  EXPECT_EQ(contender->won->status().message(), "etcdserver: requested lease not found");
}

TEST(CampaignTest, CampaigningAgainKeepsThePlaceAndReplacesTheValue) {
  auto store = std::make_shared<FakeStore>(1);
  const auto first = Enter(store, 5, "a");
  store->Settle();
  const auto again = Enter(store, 5, "b");
  store->Settle();
  ASSERT_TRUE(again->won.has_value() && again->won->ok());
  EXPECT_EQ((*again->won)->revision, (*first->won)->revision);
  EXPECT_EQ(store->keys().at("lock/5").value(), "b");
}

TEST(ElectionTest, OnlyTheLeaderProclaimsAndResigns) {
  auto store = std::make_shared<FakeStore>(1);
  absl::Status leader;
  FindLeader(*store, "lock", [&](const auto& found) { leader = found.status(); });
  store->Settle();
  EXPECT_EQ(leader, ErrElectionNoLeader());
  const auto one = Enter(store, 5, "a");
  store->Settle();
  const Place place = **one->won;
  absl::Status proclaimed;
  Proclaim(*store, place.key, place.revision + 1, 5, "x",
           [&](const auto& got) { proclaimed = got.status(); });
  store->Settle();
  EXPECT_EQ(proclaimed, ErrElectionNotLeader());
  Resign(*store, place.key, place.revision + 1, [](const auto&) {});
  store->Settle();
  EXPECT_EQ(store->keys().at(place.key).value(), "a");
  Resign(*store, place.key, place.revision, [](const auto&) {});
  store->Settle();
  EXPECT_TRUE(store->keys().empty());
}

TEST(ObservationTest, TellsEachLeaderAndItsValues) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    auto store = std::make_shared<FakeStore>(seed);
    std::vector<std::string> seen;
    auto observation = std::make_shared<Observation>(
        store, "lock",
        Observation::Events{
            .on_leader = [&](const auto&, const auto& kv) { seen.push_back(kv.value()); },
            .on_end = [](absl::Status) { ADD_FAILURE(); }});
    observation->Start();
    store->Settle();
    const auto one = Enter(store, 1, "one");
    store->Settle();
    const auto two = Enter(store, 2, "two");
    store->Settle();
    Proclaim(*store, "lock/1", (*one->won)->revision, 1, "uno", [](const auto&) {});
    store->Settle();
    store->EndLease(1);
    store->Settle();
    EXPECT_EQ(seen, (std::vector<std::string>{"one", "uno", "two"}));
    observation->Stop();
    two->campaign->Cancel();
    const auto three = Enter(store, 3, "three");
    store->Settle();
    EXPECT_EQ(seen.size(), 3u);
  }
}

}  // namespace
}  // namespace keel::kvstore
