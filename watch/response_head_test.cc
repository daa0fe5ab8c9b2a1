#include "watch/response_head.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

#include "kvstore/api/rpc.pb.h"

namespace keel::watch {
namespace {

TEST(ResponseHeadTest, IsWhatProtobufReads) {
  const bool ok = rc::check([] {
    const HeaderFields header{.cluster_id = *rc::gen::arbitrary<uint64_t>(),
                              .member_id = *rc::gen::arbitrary<uint64_t>(),
                              .raft_term = *rc::gen::arbitrary<uint64_t>()};
    const auto reason = *rc::gen::container<std::string>(rc::gen::inRange('a', 'z'));
    const ResponseHead head{.revision = *rc::gen::arbitrary<int64_t>(),
                            .watch_id = *rc::gen::arbitrary<int64_t>(),
                            .created = *rc::gen::arbitrary<bool>(),
                            .canceled = *rc::gen::arbitrary<bool>(),
                            .compact_revision = *rc::gen::arbitrary<int64_t>(),
                            .cancel_reason = reason,
                            .fragment = *rc::gen::arbitrary<bool>()};
    etcdserverpb::WatchResponse expected;
    expected.mutable_header()->set_cluster_id(header.cluster_id);
    expected.mutable_header()->set_member_id(header.member_id);
    expected.mutable_header()->set_revision(head.revision);
    expected.mutable_header()->set_raft_term(header.raft_term);
    expected.set_watch_id(head.watch_id);
    expected.set_created(head.created);
    expected.set_canceled(head.canceled);
    expected.set_compact_revision(head.compact_revision);
    expected.set_cancel_reason(reason);
    expected.set_fragment(head.fragment);
    RC_ASSERT(EncodeResponseHead(header, head) == expected.SerializeAsString());
  });
  EXPECT_TRUE(ok);
}

}  // namespace
}  // namespace keel::watch
