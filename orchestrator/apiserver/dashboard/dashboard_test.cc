#include "orchestrator/apiserver/dashboard/dashboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keel::orchestrator {
namespace {

using ::testing::HasSubstr;

std::string HeaderOf(const rpc::HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(DashboardPage, HasAllThatItsFilesName) {
  const auto index = Dashboard::Page("/dashboard/");
  ASSERT_TRUE(index.has_value());
  EXPECT_EQ(index->status, 200);
  EXPECT_EQ(index->content_type, "text/html; charset=utf-8");
  for (const char* file :
       {"vue.min.js", "app.js", "api.js", "model.js", "node_grid.js", "style.css", "keel.svg"}) {
    const auto page = Dashboard::Page(std::string("/dashboard/") + file);
    ASSERT_TRUE(page.has_value()) << file;
    EXPECT_EQ(page->status, 200) << file;
    EXPECT_FALSE(page->body.empty()) << file;
    EXPECT_THAT(HeaderOf(*page, "content-security-policy"), HasSubstr("default-src 'none'"));
  }
  EXPECT_THAT(Dashboard::Page("/dashboard/vue.min.js")->body, HasSubstr("Vue.js v2"));
}

TEST(DashboardPage, TakesOnlyItsOwnPaths) {
  EXPECT_EQ(Dashboard::Page("/dashboard")->status, 301);
  EXPECT_EQ(HeaderOf(*Dashboard::Page("/dashboard"), "location"), "/dashboard/");
  EXPECT_EQ(Dashboard::Page("/dashboard/../main.cc")->status, 404);
  EXPECT_EQ(Dashboard::Page("/dashboard/model_test.js")->status, 404);
  EXPECT_FALSE(Dashboard::Page("/dashboards").has_value());
  EXPECT_FALSE(Dashboard::Page("/api").has_value());
}

}  // namespace
}  // namespace keel::orchestrator
