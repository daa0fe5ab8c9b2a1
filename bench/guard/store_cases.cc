#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "bench/guard/cases.h"
#include "kvstore/apply/command.pb.h"
#include "kvstore/apply/read.h"
#include "kvstore/apply/state_machine.h"

namespace keel::bench {
namespace {

using kv::Command;

constexpr int kBatch = 16;
constexpr uint64_t kMember = 7;

std::string Key(uint64_t number) {
  return absl::StrFormat("/registry/pods/default/pod-%08d", number);
}
// Places all over the key space without a generator.
uint64_t Scatter(uint64_t number) { return number * 0x9e3779b97f4a7c15ull >> 20; }

// As a server keeps results until it answers.
class Results final : public kvstore::ApplySink {
 public:
  void OnResults(std::span<kvstore::ApplyResult> results) override {
    for (kvstore::ApplyResult& result : results) {
      KEEL_CHECK(result.status.ok(), result.status.ToString());
      bytes += result.body.size();
      ++count;
    }
  }
  uint64_t count = 0;
  uint64_t bytes = 0;
};

class Subscriber final : public kvstore::FeedSubscriber {
 public:
  void OnRevisions(std::shared_ptr<const kvstore::FeedBatch> batch) override {
    revisions += batch->size();
  }
  void OnReset(int64_t) override {}
  uint64_t revisions = 0;
};

// The state machine on a folder in memory where there is one. Nothing reaches the disk by itself:
// what is written stays far below the size of a memtable.
class Machine {
 public:
  Machine() {
    std::string name =
        ::access("/dev/shm", W_OK) == 0
            ? "/dev/shm/keel-guard-XXXXXX"
            : (std::filesystem::temp_directory_path() / "keel-guard-XXXXXX").string();
    KEEL_CHECK(::mkdtemp(name.data()) != nullptr);
    dir_ = name;
    kvstore::KvStateMachine::Options options;
    options.store.dir = dir_ + "/store";
    options.store.crash_on_close = true;
    options.member_id = kMember;
    machine_ = kvstore::KvStateMachine::Create(std::move(options), &results_);
    const auto opened = machine_->Open();
    KEEL_CHECK(opened.ok(), opened.status().ToString());
    machine_->Subscribe(&subscriber_);
  }
  ~Machine() {
    machine_->Unsubscribe(&subscriber_);
    machine_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }

  // The command becomes an entry of the next batch.
  void Add(Command command) {
    command.set_id(++index_);
    command.set_proposer(kMember);
    raft::CommittedEntry& committed = entries_.emplace_back();
    committed.entry.term = 1;
    committed.entry.index = index_;
    committed.entry.data = std::make_shared<const std::string>(command.SerializeAsString());
  }
  void Apply() {
    const uint64_t before = results_.count;
    const absl::Status status = machine_->Apply(entries_);
    KEEL_CHECK(status.ok(), status.ToString());
    KEEL_CHECK(results_.count - before == entries_.size());
    entries_.clear();
  }
  void AddPut(uint64_t number) {
    Command command;
    command.mutable_put()->set_key(Key(number));
    command.mutable_put()->set_value(std::string(256, 'v'));
    Add(std::move(command));
  }
  void Fill(int keys) {
    for (int i = 0; i < keys; ++i) {
      AddPut(static_cast<uint64_t>(i));
      if (i % 100 == 99) Apply();
    }
    if (!entries_.empty()) Apply();
  }
  // Everything into a file, as it is after a while.
  void Flush() {
    machine_->Flush();
    while (machine_->DurableIndex() < index_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  kvstore::KvStateMachine* operator->() { return machine_.get(); }

 private:
  std::string dir_;
  Results results_;
  Subscriber subscriber_;
  std::unique_ptr<kvstore::KvStateMachine> machine_;
  std::vector<raft::CommittedEntry> entries_;
  uint64_t index_ = 0;
};

class Put final : public Workload {
 public:
  // `keys`: over which puts go, all there before; 0: each is new.
  explicit Put(uint64_t keys) : keys_(keys) { machine_.Fill(static_cast<int>(keys)); }
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) {
      for (int i = 0; i < kBatch; ++i) {
        ++number_;
        machine_.AddPut(keys_ == 0 ? Scatter(number_) % 100'000'000 : Scatter(number_) % keys_);
      }
      machine_.Apply();
    }
  }

 private:
  Machine machine_;
  const uint64_t keys_;
  uint64_t number_ = 0;
};

// Compare the version, then put: what a lock or an update of Kubernetes does.
class Txn final : public Workload {
 public:
  static constexpr uint64_t kKeys = 2000;
  Txn() { machine_.Fill(kKeys); }
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) {
      for (int i = 0; i < kBatch; ++i) {
        Command command;
        etcdserverpb::TxnRequest* txn = command.mutable_txn();
        const std::string key = Key(Scatter(++number_) % kKeys);
        etcdserverpb::Compare* compare = txn->add_compare();
        compare->set_key(key);
        compare->set_target(etcdserverpb::Compare::VERSION);
        compare->set_result(etcdserverpb::Compare::GREATER);
        compare->set_version(0);
        etcdserverpb::PutRequest* put = txn->add_success()->mutable_request_put();
        put->set_key(key);
        put->set_value(std::string(256, 'v'));
        machine_.Add(std::move(command));
      }
      machine_.Apply();
    }
  }

 private:
  Machine machine_;
  uint64_t number_ = 0;
};

// A key is put and deleted: two operations.
class PutAndDelete final : public Workload {
 public:
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) {
      for (int i = 0; i < kBatch / 2; ++i) {
        const uint64_t number = Scatter(++number_) % 1'000'000;
        machine_.AddPut(number);
        Command command;
        command.mutable_delete_range()->set_key(Key(number));
        machine_.Add(std::move(command));
      }
      machine_.Apply();
    }
  }

 private:
  Machine machine_;
  uint64_t number_ = 0;
};

// Requests as the server answers them: parsed, read, encoded.
class Read : public Workload {
 public:
  static constexpr int kKeys = 6000;
  explicit Read(bool flushed) {
    machine_.Fill(kKeys);
    if (flushed) machine_.Flush();
    view_ = machine_->view();
  }

 protected:
  // The response; `keys` must be in it, and `count` counted.
  void Answer(const std::string& request_bytes, int keys, int64_t count) {
    etcdserverpb::RangeRequest request;
    KEEL_CHECK(request.ParseFromString(request_bytes));
    std::string response;
    const absl::Status status = kvstore::AppendRange(*view_, request, &response);
    KEEL_CHECK(status.ok(), status.ToString());
    if (checked_) return;
    etcdserverpb::RangeResponse decoded;
    KEEL_CHECK(decoded.ParseFromString(response));
    KEEL_CHECK(decoded.kvs_size() == keys && decoded.count() == count, "keys=", decoded.kvs_size(),
               " count=", decoded.count());
    checked_ = true;
  }

 private:
  Machine machine_;
  std::shared_ptr<const kvstore::ReadView> view_;
  bool checked_ = false;  // the first answer, in the warm-up
};

class Get final : public Read {
 public:
  using Read::Read;
  void Run(int operations) override {
    for (int done = 0; done < operations; ++done) {
      etcdserverpb::RangeRequest request;
      request.set_key(Key(Scatter(++number_) % kKeys));
      Answer(request.SerializeAsString(), 1, 1);
    }
  }

 private:
  uint64_t number_ = 0;
};

class Range final : public Read {
 public:
  static constexpr uint64_t kRangeKeys = 1000;
  Range() : Read(true) {}
  void Run(int operations) override {
    for (int done = 0; done < operations; ++done) {
      const uint64_t from = Scatter(++number_) % (kKeys - kRangeKeys);
      etcdserverpb::RangeRequest request;
      request.set_key(Key(from));
      request.set_range_end(Key(from + kRangeKeys));
      Answer(request.SerializeAsString(), kRangeKeys, kRangeKeys);
    }
  }

 private:
  uint64_t number_ = 0;
};

// How many keys there are in all.
class Count final : public Read {
 public:
  Count() : Read(true) {}
  void Run(int operations) override {
    for (int done = 0; done < operations; ++done) {
      etcdserverpb::RangeRequest request;
      request.set_key("/registry/");
      request.set_range_end("/registry0");
      request.set_count_only(true);
      Answer(request.SerializeAsString(), 0, kKeys);
    }
  }
};

template <typename T, auto... kArguments>
std::unique_ptr<Workload> Make() {
  return std::make_unique<T>(kArguments...);
}

constexpr Case kCases[] = {
    {"apply/put", "a put of a new key, applied in batches of 16", kBatch, 1600, Make<Put, 0>},
    {"apply/put-over", "a put of one of 2,000 keys", kBatch, 1600, Make<Put, 2000>},
    {"apply/txn", "a transaction: compare and put of one of 2,000 keys", kBatch, 1600, Make<Txn>},
    {"apply/delete", "a put or a delete of the key just put", kBatch, 1600, Make<PutAndDelete>},
    {"store/get", "one key of 6,000 in a file, from request to response", 1, 1600, Make<Get, true>},
    {"store/get-recent", "one key of 6,000 in the memtable, from request to response", 1, 1600,
     Make<Get, false>},
    {"store/range", "1,000 keys in one response", 1, 24, Make<Range>},
    {"store/count", "the count of 6,000 keys", 1, 48, Make<Count>},
};

}  // namespace

std::span<const Case> StoreCases() { return kCases; }

}  // namespace keel::bench
