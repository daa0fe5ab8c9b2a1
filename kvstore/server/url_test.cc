#include "kvstore/server/url.h"

#include <gtest/gtest.h>

#include "base/strings.h"
#include "kvstore/server/config.h"

namespace keel::kvstore {
namespace {

TEST(UrlTest, ParsesWhatItPrints) {
  for (const char* text : {"http://localhost:2379", "http://10.0.0.1:1", "http://[::1]:2380",
                           "https://a.b:443", "http://0.0.0.0:65535", "unix://localhost:m1"}) {
    const auto url = ParseUrl(text);
    ASSERT_TRUE(url.ok()) << text << ": " << url.status();
    EXPECT_EQ(url->ToString(), text);
  }
  EXPECT_EQ(ParseUrl("http://[::1]:2380")->host, "::1");
  EXPECT_EQ(ParseUrl("http://[::1]:2380")->HostPort(), "[::1]:2380");
  EXPECT_EQ(ParseUrl(" http://a:1 ")->ToString(), "http://a:1");
}

TEST(UrlTest, RefusesWithEtcdsWords) {
  const std::pair<const char*, const char*> cases[] = {
      {"localhost:2379", "URL scheme must be http, https, unix, or unixs"},
      {"ftp://localhost:2379", "URL scheme must be http, https, unix, or unixs"},
      {"", "URL scheme must be http, https, unix, or unixs"},
      {"http://localhost", "URL address does not have the form \"host:port\""},
      {"http://localhost:", "URL address does not have the form \"host:port\""},
      {"http://localhost:65536", "URL address does not have the form \"host:port\""},
      {"http://localhost:12x", "URL address does not have the form \"host:port\""},
      {"http://::1:2380", "URL address does not have the form \"host:port\""},
      {"http://localhost:2379/v3", "URL must not contain a path"},
      {"http://me@localhost:2379", "URL must not contain a user"},
  };
  for (const auto& [text, words] : cases) {
    const auto url = ParseUrl(text);
    ASSERT_FALSE(url.ok()) << text;
    EXPECT_NE(base::ToStd(url.status().message()).find(words), std::string::npos) << url.status();
  }
}

TEST(UrlTest, SortsLists) {
  const auto urls = ParseUrls("http://b:1,http://a:2");
  ASSERT_TRUE(urls.ok());
  EXPECT_EQ(JoinUrls(*urls), "http://a:2,http://b:1");
  EXPECT_FALSE(ParseUrls("http://b:1,").ok());
}

TEST(UrlTest, InitialClusterGroupsUrlsByName) {
  const auto members = ParseInitialCluster("b=http://x:2,a=http://x:1,b=http://x:3");
  ASSERT_TRUE(members.ok()) << members.status();
  ASSERT_EQ(members->size(), 2u);
  EXPECT_EQ(JoinUrls(members->at("b")), "http://x:2,http://x:3");
  EXPECT_FALSE(ParseInitialCluster("").ok());
  EXPECT_FALSE(ParseInitialCluster("http://x:1").ok());
  EXPECT_FALSE(ParseInitialCluster("=http://x:1").ok());
  EXPECT_FALSE(ParseInitialCluster("a=http://x:1,b=http://x:1").ok());
}

}  // namespace
}  // namespace keel::kvstore
