// Random watchers, writes, slow readers, compactions and snapshots against a
// model: whatever happens, a watcher gets what etcd promises it.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "watch/hub.h"
#include "watch/testing.h"

namespace keel::watch {
namespace {

using std::literals::operator""s;

struct Client {
  struct Wanted {
    KeyRange range;
    EventFilter filter;
    bool fragment = false;
    int64_t next = 0;         // nothing of its range below it is still to come
    int64_t fragment_of = 0;  // a revision of which more must follow
    size_t fragment_events = 0;
  };

  explicit Client(size_t bytes_max) : sink(bytes_max) {}

  RecordingSink sink;
  std::unique_ptr<Stream> stream;
  std::map<int64_t, Wanted> watchers;
};

class World {
 public:
  World() : hub_(feed_, worker_, Options()) {
    for (int i = *rc::gen::inRange(0, 30); i > 0; --i) Write();
    hub_.Start();
    for (int i = 0; i < 3; ++i) {
      clients_.push_back(std::make_unique<Client>(*rc::gen::element<size_t>(0, 100, 2000)));
      clients_.back()->stream = hub_.OpenStream(i == 2 ? other_io_ : io_, clients_.back()->sink);
    }
  }

  void Step() {
    switch (*rc::gen::weightedElement<int>(
        {{8, 0}, {4, 1}, {6, 2}, {4, 3}, {3, 4}, {1, 5}, {1, 6}, {1, 7}, {2, 8}})) {
      case 0:
        Write();
        break;
      case 1:
        feed_.Publish();
        break;
      case 2:
        for (int i = *rc::gen::inRange(1, 5); i > 0; --i) {
          // By number: a pointer would be replayed into another World.
          ManualLoop* const loops[] = {&io_, &other_io_, &worker_};
          loops[*rc::gen::inRange(0, 3)]->RunOne();
        }
        break;
      case 3:
        Create(Any());
        break;
      case 4: {
        Client& client = Any();
        client.sink.Drain(*client.stream);
        break;
      }
      case 5: {
        Client& client = Any();
        const int64_t id = *rc::gen::inRange(0, 5);
        RC_ASSERT(client.stream->Cancel(id) == (client.watchers.count(id) > 0));
        client.watchers.erase(id);
        break;
      }
      case 6:
        feed_.Compact(*rc::gen::inRange<int64_t>(1, feed_.current_revision() + 1));
        break;
      case 7:
        feed_.Reset();
        break;
      case 8:
        Any().stream->RequestProgress();
        break;
    }
    for (auto& client : clients_) CheckReceived(*client);
  }

  void Finish() {
    feed_.Publish();
    bool behind = true;
    for (int round = 0; behind; ++round) {
      RC_ASSERT(round < 100'000);
      RunUntilIdle({&io_, &other_io_, &worker_});
      behind = false;
      for (auto& client : clients_) {
        client->sink.Drain(*client->stream);
        behind |= client->stream->behind_count() > 0;
      }
    }
    for (auto& client : clients_) {
      CheckReceived(*client);
      for (auto& [id, wanted] : client->watchers) {
        RC_ASSERT(wanted.fragment_of == 0);
        RC_ASSERT(Matching(wanted, wanted.next, feed_.current_revision()).empty());
      }
    }
  }

 private:
  static HubOptions Options() {
    return {.recent_bytes_max = *rc::gen::element<size_t>(1, 1000, 1 << 20),
            .response_bytes_target = *rc::gen::element<size_t>(1, 200, 1 << 20),
            .fragment_bytes_min = *rc::gen::element<size_t>(150, 1 << 20),
            .turn_events_max = *rc::gen::element<size_t>(1, 5, 1000),
            .history_bytes_max = *rc::gen::element<uint64_t>(1, 100, 1 << 20),
            .history_scanned_max = *rc::gen::element<uint64_t>(1, 5, 1000)};
  }

  static std::string Key() {
    return std::string(1, static_cast<char>(*rc::gen::inRange('a', 'h')));
  }

  Client& Any() { return *clients_[*rc::gen::inRange<size_t>(0, clients_.size())]; }

  void Write() {
    std::map<std::string, std::optional<std::string>> writes;
    for (int i = *rc::gen::inRange(1, 4); i > 0; --i) {
      std::optional<std::string> value;
      if (*rc::gen::inRange(0, 4) > 0) value = std::string(*rc::gen::inRange(0, 60), 'v');
      writes[Key()] = value;
    }
    std::vector<FakeFeed::Write> list;
    for (auto& [key, value] : writes) list.push_back({key, value});
    feed_.Apply(list);
  }

  void Create(Client& client) {
    CreateOptions options;
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        options.range = KeyRange::FromRequest(Key(), Key());
        break;
      case 1:
        options.range = KeyRange::FromRequest(Key(), "\0"s);
        break;
      default:
        options.range = KeyRange::FromRequest(Key(), "");
    }
    options.start_revision = *rc::gen::element<int64_t>(0, 0, 1) == 0
                                 ? 0
                                 : *rc::gen::inRange<int64_t>(1, feed_.current_revision() + 5);
    options.filter.prev_kv = *rc::gen::arbitrary<bool>();
    options.filter.no_put = *rc::gen::inRange(0, 5) == 0;
    options.filter.no_delete = *rc::gen::inRange(0, 5) == 0;
    options.fragment = *rc::gen::arbitrary<bool>();
    auto created = client.stream->Create(options);
    RC_ASSERT(created.ok() == !options.range.empty());
    if (!created.ok()) return;
    RC_ASSERT(created->revision == feed_.current_revision());
    const bool compacted =
        options.start_revision != 0 && options.start_revision < feed_.compact_revision();
    RC_ASSERT((created->compact_revision != 0) == compacted);
    if (compacted) return;
    CheckReceived(client);
    client.watchers[created->watch_id] = {
        .range = options.range,
        .filter = options.filter,
        .fragment = options.fragment,
        .next = options.start_revision != 0 ? options.start_revision : created->revision + 1};
  }

  // What the model says a watcher gets of revisions [from, through].
  std::vector<const kvstore::Event*> Matching(const Client::Wanted& wanted, int64_t from,
                                              int64_t through) const {
    std::vector<const kvstore::Event*> events;
    for (const auto& revision : feed_.log()) {
      if (revision.revision < from || revision.revision > through) continue;
      for (const auto& event : revision.events) {
        if (wanted.range.Contains(event.kv.key) && wanted.filter.Wants(event)) {
          events.push_back(&event);
        }
      }
    }
    return events;
  }

  void CheckReceived(Client& client) {
    for (const auto& received : client.sink.all) {
      if (received.progress) {
        RC_ASSERT(received.watch_id == kAllWatchers);
        for (auto& [id, wanted] : client.watchers) {
          RC_ASSERT(Matching(wanted, wanted.next, received.revision).empty());
        }
        continue;
      }
      RC_ASSERT(client.watchers.count(received.watch_id) == 1);
      Client::Wanted& wanted = client.watchers[received.watch_id];
      if (received.compacted) {
        RC_ASSERT(wanted.next < received.revision);
        RC_ASSERT(received.revision == feed_.compact_revision());
        client.watchers.erase(received.watch_id);
        continue;
      }
      CheckEvents(received, wanted);
    }
    client.sink.all.clear();
  }

  void CheckEvents(const RecordingSink::Received& received, Client::Wanted& wanted) {
    const int64_t last = received.events.back().kv().mod_revision();
    RC_ASSERT(received.revision >= last);
    RC_ASSERT(received.revision <= feed_.current_revision());
    auto expected = Matching(wanted, wanted.next, received.revision);
    size_t skipped = 0;
    if (wanted.fragment_of != 0) {
      RC_ASSERT(last == wanted.fragment_of);
      skipped = wanted.fragment_events;
    }
    if (received.fragment) {
      RC_ASSERT(wanted.fragment);
      wanted.fragment_of = last;
      wanted.fragment_events += received.events.size();
      RC_ASSERT(skipped + received.events.size() < expected.size());
    } else {
      RC_ASSERT(skipped + received.events.size() == expected.size());
      wanted.fragment_of = 0;
      wanted.fragment_events = 0;
      wanted.next = received.revision + 1;
    }
    for (size_t i = 0; i < received.events.size(); ++i) {
      const mvccpb::Event& got = received.events[i];
      const kvstore::Event& want = *expected[skipped + i];
      RC_ASSERT(got.kv().key() == want.kv.key);
      RC_ASSERT(got.kv().value() == want.kv.value);
      RC_ASSERT(got.kv().mod_revision() == want.kv.mod_revision);
      RC_ASSERT(got.type() == static_cast<int>(want.type));
      const bool prev = wanted.filter.prev_kv && want.prev != nullptr;
      RC_ASSERT(got.has_prev_kv() == prev);
      if (prev) RC_ASSERT(got.prev_kv().value() == want.prev->value);
    }
  }

  FakeFeed feed_;
  ManualLoop io_, other_io_, worker_;
  Hub hub_;
  std::vector<std::unique_ptr<Client>> clients_;
};

TEST(HubPropertyTest, EveryWatcherGetsItsEventsInOrderOnceAndWhole) {
  const bool ok = rc::check([] {
    World world;
    for (int steps = *rc::gen::inRange(1, 150); steps > 0; --steps) world.Step();
    world.Finish();
  });
  EXPECT_TRUE(ok);
}

}  // namespace
}  // namespace keel::watch
