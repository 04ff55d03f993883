//! Values that go into statements and come out of rows, the same for both engines.
//!
//! Integers are `i64`; a digest is its key (one algorithm byte and the raw hash), an upload's id its 16 bytes.
//! Fails: `Error::Impossible` where a column holds another kind than the code expects.

use std::borrow::Cow;

use oci::{Digest, RepositoryName, Tag};
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use rusqlite::types::{ToSqlOutput, ValueRef};
use uuid::Uuid;

use crate::Error;

/// One parameter or one cell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// The parameters of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::Value::from($value)),*] };
}
pub(crate) use values;

macro_rules! value_from {
    ($($source:ty => $value:ident: $made:expr;)*) => {
        $(impl<'a> From<$source> for Value<'a> {
            fn from($value: $source) -> Self {
                $made
            }
        })*
    };
}
value_from! {
    i64 => value: Self::Int(value);
    i32 => value: Self::Int(value.into());
    u64 => value: Self::Int(i64::try_from(value).unwrap_or(i64::MAX));
    usize => value: Self::Int(i64::try_from(value).unwrap_or(i64::MAX));
    &'a str => value: Self::Text(value.into());
    &'a String => value: Self::Text(value.as_str().into());
    Cow<'a, str> => value: Self::Text(value);
    &'a RepositoryName => value: Self::Text(Cow::Borrowed(value));
    &'a Tag => value: Self::Text(Cow::Borrowed(value));
    &'a [u8] => value: Self::Bytes(value.into());
    &'a Vec<u8> => value: Self::Bytes(value.as_slice().into());
    Vec<u8> => value: Self::Bytes(value.into());
    &Digest => value: Self::Bytes(value.to_key().into());
    Uuid => value: Self::Bytes(value.as_bytes().to_vec().into());
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(value), &Type::INT2) => i16::try_from(*value)?.to_sql(ty, out),
            (Self::Int(value), &Type::INT4) => i32::try_from(*value)?.to_sql(ty, out),
            (Self::Int(value), &Type::INT8) => value.to_sql(ty, out),
            (Self::Text(value), &Type::TEXT) => value.to_sql(ty, out),
            (Self::Bytes(value), &Type::BYTEA) => value.to_sql(ty, out),
            (value, ty) => Err(format!("a parameter of type {ty} was given {value:?}").into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT2, Type::INT4, Type::INT8, Type::TEXT, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

/// One row of an answer, as long as the engine lends it.
pub(crate) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r postgres::Row),
}

impl Row<'_> {
    /// The cell of column `at`, counted from 0.
    pub(crate) fn get<T: Cell>(&self, at: usize) -> Result<T, Error> {
        let value = match self {
            Self::Sqlite(row) => match row.get_ref(at)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(value) => Value::Int(value),
                ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value)),
                ValueRef::Blob(value) => Value::Bytes(value.into()),
                ValueRef::Real(_) => return Err(wrong(at, "a real number")),
            },
            Self::Postgres(row) => from_postgres(row, at)?,
        };
        T::from_value(value).ok_or_else(|| wrong(at, std::any::type_name::<T>()))
    }
}

fn wrong(at: usize, wanted: &str) -> Error {
    Error::Impossible(format!("column {at} of an answer does not hold {wanted}"))
}

fn from_postgres(row: &postgres::Row, at: usize) -> Result<Value<'_>, Error> {
    let column = row.columns().get(at).ok_or_else(|| wrong(at, "anything"))?;
    Ok(match *column.type_() {
        Type::INT2 => row.try_get::<_, Option<i16>>(at)?.map(i64::from).into(),
        Type::INT4 => row.try_get::<_, Option<i32>>(at)?.map(i64::from).into(),
        Type::INT8 => row.try_get::<_, Option<i64>>(at)?.into(),
        Type::BOOL => row.try_get::<_, Option<bool>>(at)?.map(i64::from).into(),
        Type::TEXT => row.try_get::<_, Option<&str>>(at)?.into(),
        Type::BYTEA => row.try_get::<_, Option<&[u8]>>(at)?.into(),
        ref other => return Err(wrong(at, other.name())),
    })
}

/// What a cell can be read as.
pub(crate) trait Cell: Sized {
    fn from_value(value: Value<'_>) -> Option<Self>;
}

macro_rules! cell {
    ($($target:ty: $pattern:pat => $made:expr;)*) => {
        $(impl Cell for $target {
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    $pattern => $made,
                    _ => None,
                }
            }
        })*
    };
}
cell! {
    i64: Value::Int(value) => Some(value);
    u64: Value::Int(value) => u64::try_from(value).ok();
    usize: Value::Int(value) => usize::try_from(value).ok();
    bool: Value::Int(value) => Some(value != 0);
    String: Value::Text(value) => Some(value.into_owned());
    RepositoryName: Value::Text(value) => value.parse().ok();
    Tag: Value::Text(value) => value.parse().ok();
    Vec<u8>: Value::Bytes(value) => Some(value.into_owned());
    Digest: Value::Bytes(value) => Digest::from_key(&value);
    Uuid: Value::Bytes(value) => Uuid::from_slice(&value).ok();
}

impl<T: Cell> Cell for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}
