#include <gtest/gtest.h>

#include "base/strings.h"
#include "orchestrator/kinds/all_kinds.h"

namespace keel::orchestrator {
namespace {

TEST(Kinds, AllResolve) {
  auto registry = MakeKindRegistry();
  ASSERT_TRUE(registry.ok()) << registry.status();
  const auto pod = (*registry)->FindByResource("", "v1", "pods");
  ASSERT_NE(pod, nullptr);
  const Schema& schema = (*registry)->SchemaOf(*pod);
  EXPECT_EQ(schema.name, "Pod");
  EXPECT_NE(schema.FindField("metadata"), nullptr);
  EXPECT_NE(schema.FindField("spec"), nullptr);
}

}  // namespace
}  // namespace keel::orchestrator
