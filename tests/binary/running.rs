//! A platform from `up` to `down`.

use crate::harness::platform::{TestPlatform, TestService};

#[test]
fn a_platform_comes_up_serves_and_goes_down() {
    let shop =
        TestPlatform::of(&[TestService::named("order").calls("product"), TestService::named("product")]);
    let up = shop.up();
    assert_eq!(up.stdout, "");
    assert!(up.stderr.starts_with("shop at http://127.0.0.1:"), "{}", up.stderr);
    assert!(shop.get("/order").body.starts_with("nothing at /order"));
    shop.msctl(&["down"]).success();
}
