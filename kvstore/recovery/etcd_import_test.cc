#include "kvstore/recovery/etcd_import.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "base/strings.h"
#include "kvstore/apply/testing.h"
#include "kvstore/auth/state.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/recovery/snapshot_file.h"

namespace keel::kvstore {
namespace {

constexpr size_t kPageSize = 1024;

void NoProgress(uint64_t, uint64_t) {}

template <typename Number>
void Append(std::string* out, Number value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Writes bbolt files as bbolt lays them out: small leaves under branches, small buckets inline.
class BboltWriter {
 public:
  using Pairs = std::map<std::string, std::string>;

  std::string Write(const std::map<std::string, Pairs>& buckets) {
    pages_.assign(3, std::string());  // two metas, the freelist
    Pairs root;
    for (const auto& [name, pairs] : buckets) root[name] = Bucket(pairs);
    const uint64_t root_page = Tree(root, /*flags=*/1);
    pages_[2] = Page(2, 0x10, 0, "");
    std::string out;
    for (uint64_t i = 0; i < 2; ++i) pages_[i] = Page(i, 4, 0, Meta(root_page, 9 - i));
    for (std::string& page : pages_) {
      page.resize((page.size() + kPageSize - 1) / kPageSize * kPageSize, '\0');
      out += page;
    }
    Sha256 sha;
    sha.Add(out);
    return out + sha.Finish();
  }

 private:
  static std::string Page(uint64_t id, uint16_t flags, uint16_t count, const std::string& body) {
    std::string page;
    Append(&page, id);
    Append(&page, flags);
    Append(&page, count);
    Append<uint32_t>(&page, (16 + body.size() + kPageSize - 1) / kPageSize - 1);
    return page + body;
  }
  std::string Meta(uint64_t root, uint64_t transaction) const {
    std::string meta;
    Append<uint32_t>(&meta, 0xED0CDAED);
    Append<uint32_t>(&meta, 2);
    Append<uint32_t>(&meta, kPageSize);
    Append<uint32_t>(&meta, 0);
    for (const uint64_t each : {root, uint64_t{0}, uint64_t{2}, Pages(), transaction}) {
      Append(&meta, each);
    }
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : meta) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    Append(&meta, hash);
    return meta;
  }
  uint64_t Pages() const {
    uint64_t pages = 0;
    for (const std::string& page : pages_)
      pages += std::max<size_t>(1, (page.size() + kPageSize - 1) / kPageSize);
    return pages;
  }
  uint64_t Add(uint16_t flags, uint16_t count, const std::string& body) {
    const uint64_t id = Pages();
    pages_.push_back(Page(id, flags, count, body));
    return id;
  }
  static std::string Leaf(const std::vector<std::pair<std::string, std::string>>& pairs,
                          uint32_t flags) {
    std::string elements, data;
    for (size_t i = 0; i < pairs.size(); ++i) {
      Append(&elements, flags);
      Append<uint32_t>(&elements, (pairs.size() - i) * 16 + data.size());
      Append<uint32_t>(&elements, pairs[i].first.size());
      Append<uint32_t>(&elements, pairs[i].second.size());
      data += pairs[i].first + pairs[i].second;
    }
    return elements + data;
  }
  uint64_t Tree(const Pairs& all, uint32_t flags) {
    std::vector<std::pair<std::string, uint64_t>> level;
    std::vector<std::pair<std::string, std::string>> leaf;
    const auto close = [&] {
      level.emplace_back(leaf.empty() ? "" : leaf[0].first, Add(2, leaf.size(), Leaf(leaf, flags)));
      leaf.clear();
    };
    for (const auto& pair : all) {
      leaf.push_back(pair);
      if (leaf.size() == 7) close();
    }
    if (!leaf.empty() || level.empty()) close();
    while (level.size() > 1) {
      std::vector<std::pair<std::string, uint64_t>> above;
      for (size_t at = 0; at < level.size(); at += 5) {
        const size_t count = std::min<size_t>(5, level.size() - at);
        std::string elements, data;
        for (size_t i = 0; i < count; ++i) {
          Append<uint32_t>(&elements, (count - i) * 16 + data.size());
          Append<uint32_t>(&elements, level[at + i].first.size());
          Append(&elements, level[at + i].second);
          data += level[at + i].first;
        }
        above.emplace_back(level[at].first, Add(1, count, elements + data));
      }
      level = above;
    }
    return level[0].second;
  }
  std::string Bucket(const Pairs& pairs) {
    size_t bytes = 0;
    for (const auto& [key, value] : pairs) bytes += 16 + key.size() + value.size();
    std::string out;
    if (bytes < kPageSize / 4) {
      Append<uint64_t>(&out, 0);
      Append<uint64_t>(&out, 0);
      return out + Page(0, 2, pairs.size(), Leaf({pairs.begin(), pairs.end()}, 0));
    }
    Append(&out, Tree(pairs, 0));
    Append<uint64_t>(&out, 0);
    return out;
  }

  std::vector<std::string> pages_;
};

std::string RevisionKey(int64_t main, int64_t sub, bool tombstone = false) {
  std::string key;
  AppendBig64(static_cast<uint64_t>(main), &key);
  key += '_';
  AppendBig64(static_cast<uint64_t>(sub), &key);
  return tombstone ? key + "t" : key;
}

// A store of ours, and what etcd's file would hold after the same requests.
class EtcdImport : public testing::Test, public FeedSubscriber {
 protected:
  void SetUp() override {
    machine_.Run(GrantCommand(5, 600));
    machine_->Subscribe(this);
    options_.config.data_dir = dir_ / "new";
    options_.config.name = "a";
    options_.config.initial_cluster = *ParseInitialCluster("a=http://h:1");
    options_.config.initial_advertise_peer_urls = *ParseUrls("http://h:1");
    std::string lease;  // ID 5, TTL 600, remaining 500
    for (const uint64_t each : {0x08, 5, 0x10, 600, 0x18, 500}) AppendVarint(each, &lease);
    std::string id;
    AppendBig64(5, &id);
    buckets_["lease"][id] = lease;
    buckets_["members"]["x"] = "ignored";
    buckets_["meta"]["consistent_index"] = id;
    buckets_["key"];
  }

  void OnRevisions(std::shared_ptr<const FeedBatch> batch) override {
    for (const RevisionEvents& revision : *batch) {
      for (size_t sub = 0; sub < revision.events.size(); ++sub) {
        const Event& event = revision.events[sub];
        const bool gone = event.type == Event::Type::kDelete;
        mvccpb::KeyValue kv;
        kv.set_key(event.kv.key);
        if (!gone) {
          kv.set_value(event.kv.value);
          kv.set_create_revision(event.kv.create_revision);
          kv.set_mod_revision(event.kv.mod_revision);
          kv.set_version(event.kv.version);
          kv.set_lease(event.kv.lease);
        }
        buckets_["key"][RevisionKey(revision.revision, sub, gone)] = kv.SerializeAsString();
      }
    }
  }
  void OnReset(int64_t) override {}

  void Work() {
    std::mt19937 random(7);
    for (int i = 0; i < 200; ++i) {
      const std::string key = base::StrCat("k", random() % 20);
      if (random() % 6 == 0) {
        machine_.Run(DeleteCommand("k", random() % 8 == 0 ? "l" : ""));
        machine_.Run(DeleteCommand(key));
      } else {
        machine_.Run(PutCommand(key, std::string(random() % 300, 'v'), random() % 2 * 5));
      }
    }
    machine_.Run(PutCommand("large", std::string(5000, 'x')));  // a page that overflows
  }

  // As etcd: the newest version at or before `revision` stays, unless it is a deletion.
  void Compact(int64_t revision) {
    std::map<std::string, std::string> newest;
    auto& keys = buckets_["key"];
    for (auto at = keys.begin(); at != keys.end() && at->first < RevisionKey(revision + 1, 0);) {
      mvccpb::KeyValue kv;
      ASSERT_TRUE(kv.ParseFromString(at->second));
      if (const auto before = newest.find(kv.key()); before != newest.end()) {
        keys.erase(before->second);
        newest.erase(before);
      }
      if (at->first.back() == 't' && at->first.size() == 18) {
        at = keys.erase(at);
      } else {
        newest[kv.key()] = (at++)->first;
      }
    }
    buckets_["meta"]["scheduledCompactRev"] = RevisionKey(revision, 0);
    buckets_["meta"]["finishedCompactRev"] = RevisionKey(revision, 0);
    machine_.Run(CompactCommand(revision));
  }

  std::string File() { return BboltWriter().Write(buckets_); }
  absl::StatusOr<MigrateResult> Migrate(const std::string& bytes,
                                        BboltHash hash = BboltHash::kRequired) {
    std::ofstream(dir_ / "etcd.db", std::ios::binary | std::ios::trunc) << bytes;
    std::filesystem::remove_all(options_.config.data_dir);
    return MigrateEtcdFile(fs_, dir_ / "etcd.db", hash, options_, NoProgress);
  }
  bool NothingLeft() {
    return !std::filesystem::exists(dir_ / "new") && !std::filesystem::exists(dir_ / "new.part");
  }

  base::FileSystem& fs_ = base::PosixFileSystem();
  TempDir dir_;
  TestMachine machine_{dir_ / "store"};
  std::map<std::string, std::map<std::string, std::string>> buckets_;
  RestoreOptions options_;
};

TEST_F(EtcdImport, KeepsEveryRevision) {
  Work();
  const int64_t last = machine_->view()->revision();
  const auto migrated = Migrate(File());
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  EXPECT_EQ(migrated->restored.revision, last);
  EXPECT_EQ(migrated->contents.compact_revision, -1);
  EXPECT_EQ(migrated->contents.gaps, 0u);
  TestMachine copy(options_.config.store_dir());
  for (int64_t revision = 2; revision <= last; ++revision) {
    EXPECT_EQ(copy.HashKv(revision), machine_.HashKv(revision)) << revision;
  }
  EXPECT_EQ(*copy->view()->LeaseKeys(5), *machine_->view()->LeaseKeys(5));
  EXPECT_EQ(copy->leases().List(), (std::vector<Lease>{{5, 600, 500}}));
  // Watches of the past see the same.
  for (const int64_t from : {int64_t{2}, last / 2, last}) {
    const ChangeFeed::HistoryOptions all{
        .from_revision = from, .key = std::string(1, '\0'), .range_end = std::string(1, '\0')};
    const auto there = machine_->ReadHistory(all), here = copy->ReadHistory(all);
    ASSERT_TRUE(there.ok() && here.ok()) << here.status();
    ASSERT_EQ(here->revisions.size(), there->revisions.size());
    for (size_t i = 0; i < here->revisions.size(); ++i) {
      ASSERT_EQ(here->revisions[i].events.size(), there->revisions[i].events.size());
      for (size_t e = 0; e < here->revisions[i].events.size(); ++e) {
        EXPECT_EQ(here->revisions[i].events[e].type, there->revisions[i].events[e].type);
        EXPECT_EQ(here->revisions[i].events[e].kv.key, there->revisions[i].events[e].kv.key);
      }
    }
  }
  EXPECT_EQ(copy.Run(PutCommand("new", "1")).revision, last + 1);
}

TEST_F(EtcdImport, KeepsWhatCompactionLeft) {
  Work();
  const int64_t last = machine_->view()->revision(), compacted = last / 2;
  Compact(compacted);
  const auto migrated = Migrate(File());
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  EXPECT_EQ(migrated->contents.compact_revision, compacted);
  EXPECT_EQ(migrated->contents.gaps, 0u);
  TestMachine copy(options_.config.store_dir());
  EXPECT_EQ(copy->view()->compact_revision(), compacted);
  for (int64_t revision = compacted; revision <= last; ++revision) {
    EXPECT_EQ(copy.HashKv(revision), machine_.HashKv(revision)) << revision;
  }
  EXPECT_NE(copy.Get("k1", compacted - 1).find("compacted"), std::string::npos);
}

TEST_F(EtcdImport, AllMayBeCompactedAway) {
  machine_.Run(PutCommand("a", "1"));
  machine_.Run(DeleteCommand("a"));
  Compact(3);
  const auto migrated = Migrate(File());
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  EXPECT_EQ(migrated->restored.revision, 3);
}

TEST_F(EtcdImport, KeepsUsersAndRoles) {
  authpb::User user;
  user.set_name("jane");
  user.set_password("$2a$10$hash");
  for (const char* role : {"writer", "reader"}) user.add_roles(role);
  authpb::Role role;
  role.set_name("reader");
  for (const char* key : {"b", "a"}) role.add_keypermission()->set_key(key);
  buckets_["authUsers"]["jane"] = user.SerializeAsString();
  buckets_["authRoles"]["reader"] = role.SerializeAsString();
  role.set_name("writer");
  buckets_["authRoles"]["writer"] = role.SerializeAsString();
  buckets_["auth"]["authEnabled"] = std::string(1, '\x01');
  AppendBig64(17, &buckets_["auth"]["authRevision"]);
  const auto migrated = Migrate(File());
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  EXPECT_TRUE(migrated->contents.auth_enabled);
  TestMachine copy(options_.config.store_dir());
  EXPECT_TRUE(copy->auth().enabled());
  EXPECT_EQ(copy->auth().revision(), 17u);
  EXPECT_EQ(*copy->auth().Roles("jane"), (std::vector<std::string>{"reader", "writer"}));
  EXPECT_EQ(copy->auth().CredentialsOf("jane")->hash, "$2a$10$hash");
  EXPECT_EQ(copy->auth().Permissions("reader")->at(0).key(), "a");
}

TEST_F(EtcdImport, CountsWhatDoesNotContinue) {
  machine_.Run(PutCommand("a", "1"));
  machine_.Run(PutCommand("a", "2"));
  machine_.Run(PutCommand("a", "3"));
  buckets_["key"].erase(RevisionKey(3, 0));
  const auto migrated = Migrate(File());
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  EXPECT_EQ(migrated->contents.gaps, 1u);
  EXPECT_EQ(TestMachine(options_.config.store_dir()).Get("a"), "3");
}

TEST_F(EtcdImport, AnyDamageIsReported) {
  Work();
  const std::string bytes = File();
  for (size_t at = 0; at < bytes.size(); at += 211) {
    std::string altered = bytes;
    altered[at] = static_cast<char>(altered[at] ^ 8);
    EXPECT_FALSE(Migrate(altered).ok()) << at;
    EXPECT_FALSE(Migrate(bytes.substr(0, at)).ok()) << at;
    EXPECT_TRUE(NothingLeft());
  }
  const absl::Status cut = Migrate(bytes.substr(0, bytes.size() / 2)).status();
  EXPECT_NE(cut.ToString().find("cut short"), std::string::npos) << cut;
  EXPECT_EQ(Migrate("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Migrate(std::string(4096, 'x')).status().code(), absl::StatusCode::kInvalidArgument);
  const absl::Status no_hash = Migrate(bytes.substr(0, bytes.size() - 32)).status();
  EXPECT_NE(no_hash.ToString().find("has no integrity hash"), std::string::npos) << no_hash;
  EXPECT_TRUE(Migrate(bytes.substr(0, bytes.size() - 32), BboltHash::kSkipped).ok());
}

// Without the hash nothing but the structure tells damage: whatever comes, it ends.
TEST_F(EtcdImport, DamagedTreesNeverCrash) {
  Work();
  const std::string bytes = File();
  const auto read = [&](const std::string& altered) -> absl::Status {
    std::ofstream(dir_ / "etcd.db", std::ios::binary | std::ios::trunc) << altered;
    auto file = BboltFile::Open(fs_, dir_ / "etcd.db", BboltHash::kSkipped);
    if (!file.ok()) return file.status();
    for (const char* bucket : {"key", "lease", "meta", "auth", "none"}) {
      const auto done = (*file)->ForEach(
          bucket, [](std::string_view, std::string_view) { return absl::OkStatus(); });
      if (!done.ok()) return done.status();
    }
    return absl::OkStatus();
  };
  ASSERT_TRUE(read(bytes).ok()) << read(bytes);
  std::mt19937 random(11);
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string altered = bytes;
    for (int i = random() % 4; i >= 0; --i) {
      // Mostly headers and elements, which is where positions and sizes are.
      const size_t page = random() % (bytes.size() / kPageSize);
      altered[page * kPageSize + random() % (round % 2 == 0 ? 128 : kPageSize)] =
          static_cast<char>(random());
    }
    const absl::Status status = read(altered);
    if (status.ok()) continue;
    ++refused;
    EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsInvalidArgument(status)) << status;
    EXPECT_NE(status.ToString().find("etcd.db"), std::string::npos) << status;
  }
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace keel::kvstore
