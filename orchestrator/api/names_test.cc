#include "orchestrator/api/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Names, LabelsOfDns) {
  EXPECT_THAT(CheckDns1123Label("my-name"), IsEmpty());
  EXPECT_THAT(CheckDns1123Label("0"), IsEmpty());
  EXPECT_THAT(CheckDns1123Label("Web"),
              ElementsAre("a lowercase RFC 1123 label must consist of lower case alphanumeric "
                          "characters or '-', and must start and end with an alphanumeric "
                          "character (e.g. 'my-name',  or '123-abc', regex used for validation is "
                          "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"));
  EXPECT_THAT(CheckDns1123Label(std::string(64, 'a')),
              ElementsAre("must be no more than 63 bytes"));
  EXPECT_EQ(CheckDns1123Label("").size(), 1u);
  EXPECT_EQ(CheckDns1123Label("a-").size(), 1u);
  EXPECT_EQ(CheckDns1123Label("a.b").size(), 1u);
  EXPECT_THAT(CheckDns1035Label("a1"), IsEmpty());
  EXPECT_THAT(CheckDns1035Label("1a"), ElementsAre(HasSubstr("start with an alphabetic")));
}

TEST(Names, Subdomains) {
  EXPECT_THAT(CheckDns1123Subdomain("a.b-c.0"), IsEmpty());
  for (const char* bad : {"", ".", "a..b", "a.", "A", "a_b", "-a.b", "a.-b"}) {
    EXPECT_THAT(CheckDns1123Subdomain(bad), ElementsAre(HasSubstr("RFC 1123 subdomain"))) << bad;
  }
}

TEST(Names, PathSegments) {
  EXPECT_THAT(CheckPathSegment("system:node"), IsEmpty());
  EXPECT_THAT(CheckPathSegment(".."), ElementsAre("may not be '..'"));
  EXPECT_THAT(CheckPathSegment("a/b%c"), ElementsAre("may not contain '/'", "may not contain '%'"));
}

TEST(Names, KeysAndValuesOfLabels) {
  for (const char* good : {"a", "A.b_c-D", "example.com/a", "0"}) {
    EXPECT_THAT(CheckQualifiedName(good), IsEmpty()) << good;
  }
  EXPECT_THAT(CheckQualifiedName("/a"), ElementsAre("prefix part must be non-empty"));
  EXPECT_THAT(CheckQualifiedName("a/b/c"), ElementsAre(HasSubstr("optional DNS subdomain prefix")));
  EXPECT_EQ(CheckQualifiedName("").size(), 2u);
  EXPECT_THAT(CheckQualifiedName("Ex.com/a"), ElementsAre(HasSubstr("prefix part a lowercase")));
  EXPECT_THAT(CheckLabelValue(""), IsEmpty());
  EXPECT_THAT(CheckLabelValue("a b"), ElementsAre(HasSubstr("a valid label must be an empty")));
}

TEST(Names, DataKeysPortsAndVariables) {
  EXPECT_THAT(CheckDataKey(".dockerconfigjson"), IsEmpty());
  EXPECT_THAT(CheckDataKey(".."), ElementsAre("must not be '..'"));
  EXPECT_THAT(CheckDataKey("..a"), ElementsAre("must not start with '..'"));
  EXPECT_THAT(CheckDataKey("a/b"), ElementsAre(HasSubstr("a valid config key")));
  EXPECT_THAT(CheckPortName("http-2"), IsEmpty());
  EXPECT_THAT(CheckPortName("80"), ElementsAre("must contain at least one letter (a-z)"));
  EXPECT_THAT(CheckPortName("a--b"), ElementsAre("must not contain consecutive hyphens"));
  EXPECT_THAT(CheckPortName("HTTP"), ElementsAre(HasSubstr("alpha-numeric"), HasSubstr("letter")));
  EXPECT_THAT(CheckEnvName("A B"), IsEmpty());
  EXPECT_EQ(CheckEnvName("A=B").size(), 1u);
  EXPECT_THAT(CheckEnvName(""), ElementsAre("must be non-empty"));
}

TEST(Names, Addresses) {
  EXPECT_THAT(CheckIp("10.0.0.1"), IsEmpty());
  EXPECT_THAT(CheckIp("::1"), IsEmpty());
  EXPECT_EQ(CheckIp("10.0.0.256").size(), 1u);
  EXPECT_THAT(CheckCidr("10.0.0.0/8"), IsEmpty());
  EXPECT_EQ(CheckCidr("10.0.0.0/33").size(), 1u);
  EXPECT_EQ(CheckCidr("10.0.0.0").size(), 1u);
}

}  // namespace
}  // namespace keel::orchestrator
