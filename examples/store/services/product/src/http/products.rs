//! `/products` and `/products/{id}`.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::problem::{Fault, Problem};
use super::service::Service;
use crate::domain::{Caller, Draft, Product, ProductId};

const LIMIT_BY_DEFAULT: u16 = 20;
const HIGHEST_LIMIT: u16 = 100;

#[derive(Debug, Serialize)]
pub struct ProductView {
    id: String,
    name: String,
    price: String,
    unit: String,
}

/// One page; `next` is the `after` of the page that follows.
#[derive(Debug, Serialize)]
pub struct PageView {
    items: Vec<ProductView>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct PageQuery {
    limit: Option<String>,
    after: Option<String>,
}

pub async fn add(
    State(service): State<Service>,
    caller: Caller,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    must_be_allowed_to_change(&caller)?;
    let product = Product::from_draft(draft_of(body)?);
    service.products.add(product.clone()).await?;
    let location = format!("/products/{}", product.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(ProductView::from(product))))
}

pub async fn list(
    State(service): State<Service>,
    _: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<PageView>, Problem> {
    let (after, limit) = page_of(&query)?;
    // One more than asked for tells whether another page follows.
    let mut products = service.products.list(after, limit + 1).await?;
    let more = products.len() > usize::from(limit);
    products.truncate(usize::from(limit));
    let next = products.last().filter(|_| more).map(|product| product.id.to_string());
    Ok(Json(PageView { items: products.into_iter().map(ProductView::from).collect(), next }))
}

pub async fn show(
    State(service): State<Service>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<ProductView>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let product = service.products.find(id).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(product.into()))
}

pub async fn remove(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    must_be_allowed_to_change(&caller)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    if service.products.remove(id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

/// The gateway asks for this scope already; a service does not rest on one lock.
fn must_be_allowed_to_change(caller: &Caller) -> Result<(), Problem> {
    if caller.may_change_products() { Ok(()) } else { Err(Problem::missing_scope("products:write")) }
}

fn draft_of(mut body: Body) -> Result<Draft, Problem> {
    match (body.text("name"), body.text("price"), body.text("unit")) {
        (Some(name), Some(price), Some(unit)) => Ok(Draft { name, price, unit }),
        _ => Err(body.into_problem()),
    }
}

fn page_of(query: &PageQuery) -> Result<(Option<ProductId>, u16), Problem> {
    let limit = query.limit.as_deref().map_or(Ok(LIMIT_BY_DEFAULT), |text| {
        text.parse()
            .ok()
            .filter(|limit| (1..=HIGHEST_LIMIT).contains(limit))
            .ok_or_else(|| invalid("limit", format!("must be a number from 1 to {HIGHEST_LIMIT}")))
    })?;
    let after = query.after.as_deref().map(str::parse).transpose();
    Ok((after.map_err(|_| invalid("after", "must be a product's id".to_owned()))?, limit))
}

fn invalid(field: &'static str, message: String) -> Problem {
    Problem::invalid(vec![Fault { field, message }])
}

impl From<Product> for ProductView {
    fn from(product: Product) -> Self {
        Self {
            id: product.id.to_string(),
            name: product.name.to_string(),
            price: product.price.to_string(),
            unit: product.unit.to_string(),
        }
    }
}
