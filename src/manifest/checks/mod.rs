//! What only the platform as a whole can get wrong. Each check looks at all services, reports, and
//! changes nothing; where two places are involved, it names both.

pub mod calls;
pub mod cycles;
pub mod names;
pub mod redirects;
pub mod routes;
pub mod shared;
pub mod variables;
